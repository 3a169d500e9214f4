/**
 * The life of one VM: claim the folder, make its resources, wait until it is ready, keep it until it ends or is asked to,
 * release everything, and leave the last word in status.json.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { z } from 'zod';
import { aborted, raceAbort } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import { identifyProcess } from '@airlock/contract/process';
import { RunnerSecrets, runnerFiles, VmSpec, type RunnerStatus } from '@airlock/contract/runner';
import { connect, powerOn, tryUpstream, type BootContext } from './boot.js';
import type { Gateway } from './egress/gateway.js';
import { createGuestAgent } from './guest/agent.js';
import { watchClock } from './guest/clock-log.js';
import { createConfiguration } from './guest/configuration.js';
import { waitUntilReady } from './guest/readiness.js';
import { handlersOf } from './handlers.js';
import type { Life } from './life.js';
import { startBootClock, type Late } from './lib/boot-clock.js';
import { claim } from './lib/claim.js';
import { createCleanup } from './lib/cleanup.js';
import { lowWeight, setWeight } from './lib/weight.js';
import { createStatusStore, type StatusStore } from './lib/status.js';
import type { StopSwitch } from './lib/stop.js';
import { openRunnerSocket } from './socket.js';

const noTraffic: RunnerStatus['egress'] = { connections: 0, refused: 0, bytesUp: 0, bytesDown: 0, lastError: null };

export interface RunOptions {
  /** Absolute path of the VM folder. */
  folder: string;
  /** JSON of `RunnerSecrets`. */
  secretsText: string;
  stop: StopSwitch;
  trouble: AbortController;
  log: Logger;
}

/**
 * Runs the VM to its end; true when it was stopped as asked, false when it failed (status.json says why).
 * @throws AppError invalid_request, runner_claim_refused: nothing was touched.
 */
export async function runVm(options: RunOptions): Promise<boolean> {
  const { folder, stop, trouble } = options;
  const spec = parseJson(VmSpec, await readFile(join(folder, runnerFiles.spec), 'utf8'), runnerFiles.spec);
  const runner = await identifyProcess(process.pid);
  if (!runner) throw new AppError('internal', 'This process does not find itself in /proc.');
  await claim(join(folder, runnerFiles.lock), spec.epoch, runner);

  const log = options.log.child({ vmId: spec.vmId, epoch: spec.epoch });
  const life: Life = {
    stop,
    trouble,
    log,
    spec,
    status: openStatus(folder, { spec, runner, gateway: () => life.parts?.gateway }, log),
  };
  const cleanup = createCleanup((what, err) => log.error({ err }, `${what} could not be released`));
  let failure: AppError | null = null;
  const socket = await openRunnerSocket(join(folder, runnerFiles.socket), handlersOf(life));
  try {
    life.secrets = parseJson(RunnerSecrets, options.secretsText, 'standard input');
    await live({ folder, spec, secrets: life.secrets, log, cleanup, ...bootEvents(life) }, life);
  } catch (error) {
    failure = AppError.from(error);
    log.error({ code: failure.code, details: failure.details, stack: failure.stack }, failure.message);
  }
  await cleanup.run();
  life.status.update({ phase: failure ? 'failed' : 'stopped', error: failure?.toBody() ?? null });
  await life.status.flush();
  await socket.close();
  log.info(life.status.current().egress, failure ? 'ended after a failure' : 'stopped');
  return failure === null;
}

function openStatus(
  folder: string,
  { spec, runner, gateway }: { spec: VmSpec; runner: RunnerStatus['runner']; gateway: () => Gateway | undefined },
  log: Logger,
): StatusStore {
  const { vmId, epoch } = spec;
  const times = { startedAt: Date.now(), poweredOnAt: null, vncAt: null, agentAt: null, readyAt: null };
  const state = { vmId, epoch, revision: 0, phase: 'starting', runner, vmm: null, error: null } as const;
  return createStatusStore({
    path: join(folder, runnerFiles.status),
    initial: { ...state, ...times, egress: noTraffic },
    egress: () => gateway()?.counters() ?? noTraffic,
    onError: (err) => log.error({ err }, 'status.json cannot be written'),
  });
}

function bootEvents(life: Life): Pick<BootContext, 'onUpstreamError' | 'onConsole' | 'onBootFailure' | 'onEnd'> {
  const { status, trouble, log } = life;
  return {
    onConsole: () => life.bootClock?.progress(),
    onUpstreamError(error) {
      log.warn({ code: error.code }, error.message);
      status.update({});
    },
    onBootFailure(meaning, lastLog) {
      // A ready VM that panics ends, and is reported by that.
      if (status.current().readyAt !== null) return;
      trouble.abort(
        new AppError('vm_boot_failed', `The system in the VM could not boot: ${meaning}.`, {
          hint: 'serial.log in the VM folder holds all of its messages.',
          details: { lastLog },
        }),
      );
    },
    onEnd(end, lastLog) {
      trouble.abort(end.by === 'guest' ? guestEnded(status.current().readyAt !== null, lastLog) : end.error);
    },
  };
}

/** From the first resource to the end of the VM. Resolves when it was stopped as asked. @throws what ended it otherwise */
async function live(context: BootContext, life: Life): Promise<void> {
  const over = AbortSignal.any([life.stop.requested, life.trouble.signal]);
  try {
    // Not raced with its end: what it is just making would be made after everything was given back.
    await boot(context, life, over);
    await aborted(over);
  } catch (error) {
    // What was waited for fails as soon as anything ends the wait: the reason is what counts.
    if (!over.aborted) throw error;
  }
  if (!life.stop.requested.aborted) throw AppError.from(life.trouble.signal.reason);
  await shutDown(life);
}

async function boot(context: BootContext, life: Life, over: AbortSignal): Promise<void> {
  const { status, trouble, log } = life;
  if (context.spec.waits) await setWeight(lowWeight);
  const parts = await connect(context, over);
  life.parts = parts;
  const { gateway, network } = parts;
  // Beside the boot: it may take as long, and a VM without upstream is still worth showing.
  tryUpstream(life, gateway, context.secrets.upstream?.trialHosts ?? [], over);

  status.update({ phase: 'booting', poweredOnAt: Date.now() });
  const clock = startBootClock(context.spec, (late) => trouble.abort(bootTimeout(late, life)));
  context.cleanup.add('boot clock', () => clock.end());
  life.bootClock = clock;
  const vm = await powerOn(context, parts, over);
  const { vmm } = vm;
  life.vm = vm;
  status.update({ vmm: vmm.identity });
  log.info({ pid: vmm.identity.pid, driver: parts.driver.name }, 'powered on');

  const { agentToken, vncPassword } = context.secrets.guestConfig;
  const agent = createGuestAgent(() => network.dial('agent'), agentToken);
  context.cleanup.add('agent connections', () => agent.close());
  life.agent = agent;
  life.configuration = createConfiguration({ drive: parts.drive, agent, first: context.secrets.guestConfig });
  const desktop = vncPassword === null ? null : () => network.dial('desktop');
  await raceAbort(waitUntilReady(agent, desktop, readinessEvents(life), over), over);
  clock.end();
  if (context.spec.waits) await vmm.pause();
  status.update({ phase: context.spec.waits ? 'waiting' : 'ready', readyAt: Date.now() });
  log.info({ ms: Date.now() - status.current().startedAt }, context.spec.waits ? 'waits for a session' : 'ready');
  if (!context.spec.waits) watchClock(agent, log, over);
}

function readinessEvents(life: Life): Parameters<typeof waitUntilReady>[2] {
  const { status, log } = life;
  const got = (what: string): void => {
    life.bootClock?.progress();
    log.info({ ms: Date.now() - (status.current().poweredOnAt ?? 0) }, what);
  };
  return {
    vnc() {
      status.update({ vncAt: Date.now() });
      got('VNC server answers');
    },
    agent() {
      status.update({ agentAt: Date.now() });
      got('agent answers');
    },
    configured() {
      status.update({ phase: 'configured' });
      got('configured');
    },
    part: (name) => got(`desktop: ${name} is up`),
    notYet(reason) {
      life.notYet = reason;
    },
  };
}

function bootTimeout({ waitedMs, quietMs }: Late, { notYet, vm }: Life): AppError {
  const when = `${waitedMs} ms after power-on, and ${quietMs} ms after it last got on`;
  const reason = notYet === undefined ? '' : `; at last: ${notYet}`;
  return new AppError('vm_boot_timeout', `The VM was not ready ${when}${reason}`, {
    hint: 'serial.log in the VM folder shows how far it came.',
    details: { lastLog: vm?.serial.lastLines(20) ?? '' },
  });
}

function guestEnded(wasReady: boolean, lastLog: string): AppError {
  const details = { lastLog };
  return wasReady
    ? new AppError('vm_lost', 'The VM shut down, or restarted, by itself.', { details })
    : new AppError('vm_boot_failed', 'The VM shut down, or restarted, before it was ready.', { details });
}

/** Lets the guest end by itself while there is grace; the cleanup kills what is left. */
async function shutDown({ status, stop, log, vm, agent }: Life): Promise<void> {
  // A guest that stands still cannot be asked.
  const stands = status.current().phase === 'waiting';
  status.update({ phase: 'stopping' });
  if (!vm || stands || stop.expired.aborted) return;
  try {
    // A guest whose agent never answered cannot be asked; and one that refuses is not waited for.
    if (!agent || status.current().agentAt === null) return;
    await agent.powerOff(stop.expired);
    await Promise.race([vm.vmm.exited, aborted(stop.expired)]);
  } catch (error) {
    log.warn({ reason: AppError.from(error).message }, 'the guest did not take the power-off; it is killed');
  }
}

/** @throws AppError invalid_request naming the fields that are wrong, never their values */
function parseJson<T extends z.ZodType>(schema: T, text: string, where: string): z.infer<T> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // The parser's own message quotes the text, which may be secret.
    throw new AppError('invalid_request', `${where} is not JSON.`);
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const fields = parsed.error.issues.map((issue) => `${issue.path.join('.')} (${issue.code})`).join(', ');
  throw new AppError('invalid_request', `${where} has an unexpected form: ${fields}.`);
}

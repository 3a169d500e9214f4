/** Runs prompts through the agent of the CLI VM. Keeps nothing: a prompt lives as long as the call that asked for it. */
import type { Logger } from 'pino';
import { createBackground, type Background } from '@airlock/contract/background';
import type { CredentialSummary, PromptEvent, RunPromptRequest } from '@airlock/contract/api';
import { raceAbort, withDeadline } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import type { JsonClient } from '@airlock/contract/http-client';
import { PromptFrame, promptLimits, desktopProtocol, type PromptRequest } from '@airlock/contract/guest';
import type { Provider } from '@airlock/contract/provider/provider';
import { providers, requireProvider } from '@airlock/contract/provider/registry';
import { parseReceived } from '@airlock/contract/received';
import type { Settings } from '@airlock/contract/settings';
import type { Custodian } from '../credential/custodian.js';
import { promptError, wordsOf } from '../credential/health.js';
import type { CliUse, Vms } from '../vm/vm.js';
import type { Emit, Prompts } from './prompt.js';

export interface PromptDeps {
  vms: Pick<Vms, 'cliOf' | 'useCli' | 'guest' | 'protocolOf' | 'requireCapacity'>;
  custodian: Pick<Custodian, 'sync' | 'listen'> & {
    list(userId: string): Promise<readonly Pick<CredentialSummary, 'provider' | 'state'>[]>;
  };
  settings: Pick<Settings, 'AIRLOCK_PROMPT_TIMEOUT_S'>;
  log: Logger;
}

/** The agent gives a sign of life every ten seconds; milliseconds of silence after which it is given up. */
const silenceMs = 60_000;
/** The agent keeps the time limit itself; this much later, in ms, nobody waits any more for a caller who does not read. */
const afterLimitMs = 60_000;

export function createPrompts(deps: PromptDeps): Prompts {
  const { vms, custodian, settings } = deps;
  const background = createBackground(deps.log);
  const running = new Set<Promise<void>>();
  const ending = new AbortController();

  async function requireLogin(userId: string, { id, name }: Provider): Promise<void> {
    const [own, vm] = await Promise.all([custodian.list(userId), vms.cliOf(userId)]);
    if (vm && own.some(({ provider, state }) => provider === id && state === 'active')) {
      if (vm.state !== 'running') await vms.requireCapacity(userId, { browser: false });
      return;
    }
    throw new AppError('not_connected', `${name} is not connected.`, { hint: 'Connect it on the dashboard first.' });
  }

  return {
    async prepare(userId, request) {
      const provider = providerOf(request.provider);
      const timeoutMs = limitOf(request, settings) * 1000;
      await requireLogin(userId, provider);
      const body = {
        provider: provider.id,
        prompt: request.prompt,
        timeoutMs,
        ...(request.cwd && { cwd: request.cwd }),
      };
      return (emit, caller) => {
        const over = AbortSignal.any([caller, ending.signal]);
        const asked = { userId, name: provider.name, body };
        const work = runPrompt(asked, { ...deps, background }, emit, over).finally(() => running.delete(work));
        running.add(work);
        return work;
      };
    },

    async close() {
      ending.abort(new AppError('shutting_down', 'The controller is shutting down.'));
      await Promise.all(running);
    },
  };
}

interface Deps extends PromptDeps {
  background: Background;
}

function providerOf(name: string): Provider {
  const provider = requireProvider(name);
  if (provider.prompt) return provider;
  throw new AppError('provider_unavailable', `Airlock cannot run prompts with ${provider.name} yet.`);
}

/** Seconds. */
function limitOf({ timeoutS }: RunPromptRequest, { AIRLOCK_PROMPT_TIMEOUT_S: most }: PromptDeps['settings']): number {
  if (timeoutS === undefined || timeoutS <= most) return timeoutS ?? most;
  throw new AppError('invalid_request', `timeoutS is ${timeoutS}; a prompt may take ${most} s here.`, {
    hint: 'The limit is the setting AIRLOCK_PROMPT_TIMEOUT_S of the controller.',
  });
}

interface Prompt {
  userId: string;
  /** Of the provider, for people. */
  name: string;
  body: Omit<PromptRequest, 'cwd'> & { cwd?: string };
}

async function runPrompt(prompt: Prompt, deps: Deps, emit: Emit, over: AbortSignal): Promise<void> {
  const { vms, custodian, log, background } = deps;
  const startedAt = performance.now();
  try {
    const vm = await vms.cliOf(prompt.userId);
    let said = vm?.state === 'running' ? undefined : 'starting the CLI VM';
    if (said !== undefined) await emit({ status: said });
    const onProgress = (text: string): void => {
      if (text === said) return;
      said = text;
      background.own(emit({ status: `CLI VM: ${text}` }), 'the state of a CLI VM could not be told');
    };
    const use = await vms.useCli(prompt.userId, onProgress, over);
    try {
      await emit({ status: `asking ${prompt.name}` });
      const told = await custodian.listen({ userId: prompt.userId, provider: prompt.body.provider });
      const guest = await vms.guest(use.vm.id);
      if ((await vms.protocolOf(use.vm)) >= desktopProtocol) prompt.body.statuses = true;
      const heard = await passAnswer(guest, prompt, emit, AbortSignal.any([over, use.ended]));
      await told(heard).catch((error: unknown) => log.error({ err: error }, 'the end of a prompt could not be noted'));
    } catch (error) {
      // Whatever the answer broke off with: it broke off because of this.
      throw use.ended.aborted ? use.ended.reason : error;
    } finally {
      finish(use, deps);
    }
    log.info({ vmId: use.vm.id, provider: prompt.body.provider, ms: elapsed(startedAt) }, 'prompt ended');
  } catch (error) {
    const why = over.aborted ? AppError.from(over.reason) : AppError.from(error);
    log.info(
      { userId: prompt.userId, code: why.code, reason: why.message, ms: elapsed(startedAt) },
      'prompt broke off',
    );
    await emit({ error: why.toBody() });
    await emit({ exitCode: null });
  }
}

/** The CLI may have refreshed its login: the vault learns of it, and only then the VM may be stopped. Nobody waits for it. */
function finish({ vm, release }: CliUse, { custodian, log }: PromptDeps): void {
  custodian
    .sync(vm.id)
    .catch((error: unknown) => {
      const { code, message } = AppError.from(error);
      log.warn({ vmId: vm.id, code, reason: message }, 'the credentials could not be looked after a prompt');
    })
    .then(release)
    .catch((error: unknown) => log.error({ err: error, vmId: vm.id }, 'the end of a prompt could not be noted'));
}

const elapsed = (since: number): number => Math.round(performance.now() - since);

/** Frames of the agent, up to the last one; answers why the CLI gave up, or null when it did not. @throws AppError when it breaks off */
async function passAnswer(guest: JsonClient, { body }: Prompt, emit: Emit, over: AbortSignal): Promise<string | null> {
  const failures: string[] = [];
  const totalMs = body.timeoutMs + afterLimitMs;
  const signal = withDeadline(over, totalMs);
  const options = { body, signal, timeoutMs: silenceMs, totalMs, maxLines: promptLimits.answerBytes };
  for await (const line of await guest.lines('POST', '/prompts', options)) {
    const frame = PromptFrame.parse(parseReceived(line));
    await raceAbort(emit(eventOf(frame, providers[body.provider])), signal);
    if ('error' in frame) failures.push(wordsOf(frame.error));
    if ('exitCode' in frame) return failures.length === 0 && frame.exitCode === 0 ? null : failures.join('\n');
  }
  throw new AppError('vm_lost', 'The CLI VM ended in the middle of the answer.');
}

function eventOf(frame: PromptFrame, provider: Provider): PromptEvent {
  if ('status' in frame) return { status: `${provider.name}: ${frame.status}` };
  return 'error' in frame ? { error: promptError(provider, frame.error) } : frame;
}

/** What the calls on the runner's socket do to the VM. */
import { AppError } from '@airlock/contract/errors';
import type { ConfigureAnswer, VmSettings } from '@airlock/contract/runner';
import { assign } from './assignment.js';
import { routeOf, tryUpstream } from './boot.js';
import { openDesktop, showDesktop } from './guest/desktop.js';
import type { Life } from './life.js';
import type { RunnerHandlers } from './socket.js';

/** How long GET /status?after=N waits, in milliseconds. */
const longPollMs = 20_000;
const desktopHandshakeMs = 30_000;
/** Failed calls that are logged one by one; callers must not be able to fill the log. */
const loggedErrors = 500;

/** Handlers over `life`, whose parts may still be missing. */
export function handlersOf(life: Life): RunnerHandlers {
  const { status, stop, trouble, log } = life;
  let errors = 0;
  return {
    status: () => status.current(),
    statusAfter: (revision) => status.waitAfter(revision, longPollMs),
    stop(graceMs) {
      log.info({ graceMs }, 'asked to stop');
      stop.request(graceMs);
    },
    configure: (next) => configure(life, next),
    assign: (request) => assign(life, request),
    async guest(request, response, path) {
      if (!life.agent) throw new AppError('guest_unreachable', 'The VM is not powered on.');
      requireOwner(life);
      await life.agent.forward(request, response, path);
    },
    async desktop(viewer, accept) {
      const password = life.secrets?.guestConfig.vncPassword;
      if (!life.parts || typeof password !== 'string' || status.current().vncAt === null) {
        throw new AppError('desktop_not_ready', 'The VNC server of this VM has not answered yet, or it has none.');
      }
      requireOwner(life);
      const signal = AbortSignal.any([stop.requested, trouble.signal]);
      const options = { to: life.parts.network.dial('desktop'), password, handshakeMs: desktopHandshakeMs, signal };
      const vnc = await openDesktop(options);
      accept();
      await showDesktop(viewer, vnc, options);
    },
    onError(error, what) {
      // Passing things on fails whenever either end goes away: not worth more than a line.
      errors += 1;
      if (errors <= loggedErrors) log.info({ code: error.code, what }, error.message);
    },
  };
}

/** Nobody sees, or touches, a VM before a session has it. */
function requireOwner({ spec, status }: Life): void {
  const { phase, readyAt } = status.current();
  if (spec.waits && (readyAt === null || phase === 'waiting'))
    throw new AppError('vm_not_running', 'No session has this VM yet.');
}

/** The gateway first: that cannot fail, and the way out does not depend on whether the agent answers. */
async function configure(life: Life, next: VmSettings): Promise<ConfigureAnswer> {
  const { status, stop, trouble, log } = life;
  if (!life.parts || !life.configuration || !['configured', 'ready'].includes(status.current().phase)) {
    throw new AppError('vm_not_running', 'The VM has not applied its first configuration yet, or it is being stopped.');
  }
  const { gateway } = life.parts;
  const over = AbortSignal.any([stop.requested, trouble.signal]);
  requireOwner(life);
  const { upstream } = next;
  const rerouted = gateway.reroute(routeOf(upstream, next));
  if (rerouted) {
    // What was wrong with the way before is not to be seen any more.
    status.update({});
    tryUpstream(life, gateway, upstream?.trialHosts ?? [], over);
  }
  const configured = await life.configuration.apply(next, over);
  if (rerouted || configured) log.info({ rerouted, configured }, 'new settings are in force');
  return { changed: rerouted || configured };
}

/**
 * A VM that nobody has yet: once it is ready it stands still, with nothing to reach and nobody to see it, until it is given to one session.
 * It is given once, and as it was left; whatever goes wrong on the way ends it.
 */
import { withDeadline } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import type { AssignRequest, RunnerStatus } from '@airlock/contract/runner';
import { routeOf, tryUpstream } from './boot.js';
import type { GuestAgent } from './guest/agent.js';
import { watchClock } from './guest/clock-log.js';
import { setWeight, usualWeight } from './lib/weight.js';
import type { Life } from './life.js';

/** Milliseconds: half a second as a rule, more under emulation on a busy host. */
const giveMs = 60_000;

/** @throws AppError vm_not_waiting, and nothing happens; else why the VM, which ends now, cannot be the session's */
export async function assign(life: Life, request: AssignRequest): Promise<RunnerStatus> {
  const { status, stop, trouble, log, vm } = life;
  const { phase } = status.current();
  const { agent } = life;
  if (phase !== 'waiting' || !vm || !agent) {
    throw new AppError('vm_not_waiting', `The VM does not wait for a session: it is ${phase}.`);
  }
  // Whoever asks from now on finds that it does not wait any more.
  status.update({ phase: 'configured' });
  const over = AbortSignal.any([stop.requested, trouble.signal]);
  const began = performance.now();
  try {
    await setWeight(usualWeight);
    await vm.vmm.resume();
    await configure(life, request, over);
  } catch (error) {
    const failure = AppError.from(error);
    trouble.abort(failure);
    throw failure;
  }
  status.update({ phase: 'ready' });
  log.info({ sessionId: request.sessionId, ms: Math.round(performance.now() - began) }, 'given to a session');
  watchClock(agent, log, over);
  return status.current();
}

async function configure(life: Life, { sessionId, settings }: AssignRequest, over: AbortSignal): Promise<void> {
  const { parts, agent, configuration } = life;
  if (!parts || !agent || !configuration) throw new AppError('internal', 'A VM waits without its parts.');
  const signal = withDeadline(over, giveMs);
  parts.gateway.reroute(routeOf(settings.upstream, settings));
  tryUpstream(life, parts.gateway, settings.upstream?.trialHosts ?? [], over);
  await configuration.assign(sessionId, settings, signal);
  await requireAsLeft(agent, signal);
}

/** At the first look: a browser that comes again is another one. */
async function requireAsLeft(agent: GuestAgent, signal: AbortSignal): Promise<void> {
  const health = await agent.health(signal);
  if (health.error) throw AppError.fromBody(health.error);
  if (health.ready) return;
  throw new AppError('vm_lost', 'The VM is not as it was when it began to wait for a session.', {
    details: { health: JSON.stringify(health) },
  });
}

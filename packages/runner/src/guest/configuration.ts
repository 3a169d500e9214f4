/** The configuration of a running VM: written to its config drive, read again by the agent, and proved by what that reports. */
import { withDeadline } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import type { GuestConfig, GuestHealth } from '@airlock/contract/guest';
import { fixedInConfigure } from '@airlock/contract/runner';
import type { GuestAgent } from './agent.js';
import type { ConfigDrive } from './config-drive.js';

export interface Configuration {
  /**
   * Puts `next` into force; one call after the other. When it rejects, what was in force before still is, or `next` is (the
   * agent may have gone away just after): whoever asks again writes a newer generation.
   * @throws AppError invalid_request for a change that needs another VM; guest_unreachable; guest_refused, or the agent's own
   * error, when `next` did not come into force
   */
  apply(next: GuestConfig, signal: AbortSignal): Promise<GuestHealth>;
}

export interface ConfigurationParts {
  drive: Pick<ConfigDrive, 'write'>;
  agent: Pick<GuestAgent, 'reload'>;
  /** What the VM was powered on with. */
  first: GuestConfig;
}

/** Milliseconds for the agent to apply it: a third of a second as a rule, more under emulation on a busy host. */
const applyMs = 60_000;

export function createConfiguration(parts: ConfigurationParts): Configuration {
  let last: Promise<unknown> = Promise.resolve();
  return {
    apply(next, signal) {
      const work = last.then(() => applyOnce(parts, next, signal));
      last = work.catch(() => undefined);
      return work;
    },
  };
}

async function applyOnce(
  { drive, agent, first }: ConfigurationParts,
  next: GuestConfig,
  signal: AbortSignal,
): Promise<GuestHealth> {
  signal.throwIfAborted();
  const changed = fixedInConfigure.filter((member) => next[member] !== first[member]);
  if (changed.length > 0) {
    throw new AppError('invalid_request', `A running VM cannot change its ${changed.join(', ')}.`);
  }
  const generation = await drive.write(next);
  const health = await agent.reload(withDeadline(signal, applyMs));
  if (health.error) throw AppError.fromBody(health.error);
  if (health.generation === generation) return health;
  throw new AppError(
    'guest_refused',
    `Generation ${generation} of the configuration was written; the agent reports ${health.generation} as in force.`,
  );
}

/** The configuration of a running VM: written to its config drive, read again by the agent, and proved by what that reports. */
import { randomBytes } from 'node:crypto';
import { withDeadline } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import type { GuestConfig } from '@airlock/contract/guest';
import type { GuestAgent } from './agent.js';
import type { ConfigDrive } from './config-drive.js';

/** What of the configuration may change while the VM runs, besides its clock and entropy. */
export type GuestSettings = Pick<GuestConfig, 'timezone' | 'extraCaPem'>;

export interface Configuration {
  /** As `apply`, of a VM that is a session's from now on: never in force already. */
  assign(sessionId: string, next: GuestSettings, signal: AbortSignal): Promise<void>;
  /**
   * Puts `next` into force; one call after the other. False when it was in force already: nothing was done then. When it rejects,
   * what was in force before still is, or `next` is (the agent may have gone away just after): whoever asks again writes a newer
   * generation.
   * @throws AppError config_invalid when it is too large; guest_unreachable; guest_refused, or the agent's own error, when it did
   * not come into force
   */
  apply(next: GuestSettings, signal: AbortSignal): Promise<boolean>;
}

export interface ConfigurationParts {
  drive: Pick<ConfigDrive, 'write'>;
  agent: Pick<GuestAgent, 'reload'>;
  /** What the VM was powered on with. */
  first: GuestConfig;
}

interface Ctx extends ConfigurationParts {
  sessionId: GuestConfig['sessionId'];
  /** As the agent has proved; null while that is not certain. */
  inForce: GuestSettings | null;
}

/** Milliseconds for the agent to apply it: a third of a second as a rule, more under emulation on a busy host. */
const applyMs = 60_000;

export function createConfiguration(parts: ConfigurationParts): Configuration {
  const ctx: Ctx = { ...parts, sessionId: parts.first.sessionId, inForce: parts.first };
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = last.then(work);
    last = done.catch(() => undefined);
    return done;
  };
  return {
    apply: (next, signal) => inTurn(() => applyOnce(ctx, next, signal)),
    assign: (sessionId, next, signal) =>
      inTurn(async () => {
        Object.assign(ctx, { sessionId, inForce: null });
        await applyOnce(ctx, next, signal);
      }),
  };
}

async function applyOnce(ctx: Ctx, { timezone, extraCaPem }: GuestSettings, signal: AbortSignal): Promise<boolean> {
  signal.throwIfAborted();
  if (ctx.inForce?.timezone === timezone && ctx.inForce.extraCaPem === extraCaPem) return false;
  ctx.inForce = null;
  const fresh = { epochMs: Date.now(), entropy: randomBytes(64).toString('base64') };
  const generation = await ctx.drive.write({ ...ctx.first, ...fresh, sessionId: ctx.sessionId, timezone, extraCaPem });
  const health = await ctx.agent.reload(withDeadline(signal, applyMs));
  if (health.error) throw AppError.fromBody(health.error);
  if (health.generation !== generation) {
    throw new AppError(
      'guest_refused',
      `Generation ${generation} of the configuration was written; the agent reports ${health.generation} as in force.`,
    );
  }
  ctx.inForce = { timezone, extraCaPem };
  return true;
}

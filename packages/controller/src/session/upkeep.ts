/** Ends sessions whose time is up. */
import type { Logger } from 'pino';
import { startLoop, type Loop } from '../lib/loop.js';
import { expiry, isExpired } from './clocks.js';
import type { DriveDeps } from './driven.js';
import type { SessionRow } from './rows.js';

interface UpkeepDeps extends Pick<DriveDeps, 'rows'> {
  log: Logger;
  sweepMs: number;
  /** Told after a session was ended by its clock; the sweep goes on at once. */
  onExpired(row: SessionRow): void;
}

/** Runs until it is stopped. */
export function startUpkeep(deps: UpkeepDeps): Loop {
  const { rows, sweepMs, log } = deps;

  async function expire(found: SessionRow): Promise<void> {
    const { event, error } = expiry(found);
    const patch = { error: error.toBody() };
    // Looked at again in the moment of the change: the person may just have got more time.
    const when = (row: SessionRow): boolean => row.status === found.status && isExpired(row, new Date());
    const row = await rows.apply(found.id, event, { patch, when });
    if (!row) return;
    log.info({ sessionId: row.id, code: error.code, was: found.status }, 'session ended by its clock');
    deps.onExpired(row);
  }

  async function sweep(): Promise<void> {
    for (const row of await rows.expired()) await expire(row);
  }

  return startLoop({ name: 'sweep of sessions', everyMs: sweepMs, turn: sweep, log });
}

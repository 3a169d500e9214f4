/** A session under way: what each step of its drive is given, and how a step moves its row. */
import type { Background } from '@airlock/contract/background';
import { AppError } from '@airlock/contract/errors';
import type { Settings } from '@airlock/contract/settings';
import type { Custodian } from '../credential/custodian.js';
import type { Pool } from '../pool/pool.js';
import type { Vms, VmRow } from '../vm/vm.js';
import type { Vault } from '../vault/vault.js';
import type { SessionChange, SessionRow, SessionRows } from './rows.js';
import type { SessionEvent } from './transitions.js';

export interface DriveDeps {
  rows: SessionRows;
  vms: Vms;
  pool: Pick<Pool, 'take'>;
  vault: Vault;
  custodian: Pick<Custodian, 'deliver' | 'retire' | 'sync'>;
  settings: Settings;
  /** What a session does beside its way, and what `close` waits for. */
  background: Background;
  /** How often the agent is asked about the login, in ms. */
  pollMs: number;
}

/** One run through a session. */
export interface Drive extends DriveDeps {
  id: string;
  signal: AbortSignal;
  /** The user's CLI VM, on its way while the person signs in. */
  cli: Promise<VmRow> | undefined;
}

/** In the log: what a page shows of a session's progress may be missed, and nothing else. */
export const progressLost = 'progress of a session could not be noted';

/** Applies an event; a session that has ended meanwhile stops the drive. */
export async function apply(drive: Drive, event: SessionEvent, change?: SessionChange): Promise<SessionRow> {
  drive.signal.throwIfAborted();
  const row = await drive.rows.apply(drive.id, event, change);
  if (!row) throw new AppError('aborted', `Session ${drive.id} has ended.`);
  return row;
}

/** @throws AppError internal: a status after `pending` has a browser VM */
export function browserOf(row: SessionRow): string {
  if (row.browserVmId !== null) return row.browserVmId;
  throw new AppError('internal', `Session ${row.id} is ${row.status} without a browser VM.`);
}

/** What the verbs of the vault work on. */
import type { Log } from '../lib/log.js';
import type { Database, Transaction } from '../store/store.js';
import { lockCustody } from './rows.js';
import type { KeyRing, Seal } from './ring.js';
import type { Owner } from './vault.js';

export interface VaultContext {
  db: Database;
  ring: KeyRing;
  /** A backup names people, because ids differ from database to database. */
  users: { list(): Promise<readonly { id: string; name: string }[]> };
  log: Log;
}

/** Everything that changes a credential: under one key, in one transaction, one at a time for each credential. */
export function changing<T>(
  { db, ring }: VaultContext,
  owner: Owner,
  work: (tx: Transaction, seal: Seal) => Promise<T>,
): Promise<T> {
  return ring.sealing((seal) =>
    db.transaction(async (tx) => {
      await lockCustody(tx, owner);
      return work(tx, seal);
    }),
  );
}

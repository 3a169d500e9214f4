/** What the verbs of the vault work on. */
import type { Log } from '../lib/log.js';
import type { Database, Transaction } from '../store/store.js';
import type { CredentialBundle } from '@airlock/contract/guest';
import { judgeBundle } from './bundle.js';
import { lockCustody } from './rows.js';
import type { KeyRing, Seal } from './ring.js';
import type { Owner } from './vault.js';

export interface VaultContext {
  db: Database;
  ring: KeyRing;
  /** A backup names people, because ids differ from database to database. */
  users: { list(): Promise<readonly { id: string; name: string }[]> };
  log: Log;
  /** What the log was told to be left out of bundles, so that it is told once. */
  told: Set<string>;
}

/** More than honest VMs ever have; then all are told once more. */
const toldAtMost = 1000;

/** The declared part of a bundle; what else was in it is named in the log, each once. @throws AppError as `judgeBundle` */
export function judged(
  { log, told }: Pick<VaultContext, 'log' | 'told'>,
  owner: Owner,
  given: CredentialBundle,
): CredentialBundle {
  const { userId, provider } = owner;
  const { bundle, leftOut } = judgeBundle(provider, given);
  const key = JSON.stringify([userId, provider, leftOut]);
  if (leftOut.length === 0 || told.has(key)) return bundle;
  if (told.size >= toldAtMost) told.clear();
  told.add(key);
  log.warn({ userId, provider, leftOut }, 'a credential came with more than its login; that was left out');
  return bundle;
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

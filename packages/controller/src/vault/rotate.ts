/**
 * Changing the vault key: a new key beside the old one, every sealed row under the new one, then the old key goes. Each row is
 * replaced only when it still is what was read, so that what is stored meanwhile is never undone.
 */
import { and, asc, eq, isNotNull } from 'drizzle-orm';
import type { VaultStatus } from '@airlock/contract/api';
import type { Log } from '../lib/log.js';
import { vms } from '../vm/table.js';
import { credentials } from './table.js';
import type { Database } from '../store/store.js';
import type { KeyRing } from './ring.js';
import { contextOf } from './rows.js';
import type { Vault } from './vault.js';

/** What a home key is sealed for. */
export const homeContext = (vmId: string): string => `home/${vmId}`;

interface Sealed {
  context: string;
  sealed: string;
  /** Stores `next` unless the row has changed meanwhile. */
  replace(next: string): Promise<unknown>;
}

/** Rows between two lines in the log. */
const logEvery = 20;

export function createRotation(db: Database, ring: KeyRing, log: Log): Pick<Vault, 'status' | 'rotate'> {
  let running: Promise<VaultStatus> | undefined;

  async function status(): Promise<VaultStatus> {
    const all = await everySealed(db);
    const [keyId, ...oldKeyIds] = ring.ids();
    const count = (age: string): number => all.filter(({ sealed }) => ring.ageOf(sealed) === age).length;
    return { keyId, oldKeyIds, sealed: all.length, underOldKeys: count('old'), lost: count('unknown') };
  }

  /** Seals again what an old key sealed; answers how many rows that were. */
  async function pass(): Promise<number> {
    const old = (await everySealed(db)).filter(({ sealed }) => ring.ageOf(sealed) === 'old');
    for (const [done, { context, sealed, replace }] of old.entries()) {
      if (done % logEvery === 0) log.info({ done, of: old.length }, 'sealing again under the new key');
      const text = await ring.open(context, sealed);
      await ring.sealing(async (seal) => replace(await seal(context, text)));
    }
    return old.length;
  }

  async function rotateOnce(): Promise<VaultStatus> {
    // More than one key: a rotation that did not come to its end. It is finished, not begun again.
    if (ring.ids().length === 1) await ring.turn();
    while ((await pass()) > 0);
    const retired = ring.ids().slice(1);
    await ring.retire();
    log.info({ retired, keyId: ring.ids()[0] }, 'vault key rotated');
    return status();
  }

  return {
    status,
    rotate: () => (running ??= rotateOnce().finally(() => (running = undefined))),
  };
}

async function everySealed(db: Database): Promise<Sealed[]> {
  const [stored, homeKeys] = await Promise.all([
    db.select().from(credentials).orderBy(asc(credentials.userId), asc(credentials.provider)),
    db.select({ id: vms.id, sealed: vms.homeKeySealed }).from(vms).where(isNotNull(vms.homeKeySealed)),
  ]);
  return [
    ...stored.map((row) => ({
      context: contextOf(row),
      sealed: row.sealed,
      replace: (sealed: string) =>
        db
          .update(credentials)
          .set({ sealed })
          .where(
            and(
              eq(credentials.userId, row.userId),
              eq(credentials.provider, row.provider),
              eq(credentials.generation, row.generation),
              eq(credentials.sealed, row.sealed),
            ),
          ),
    })),
    ...homeKeys.map(({ id, sealed }) => ({
      context: homeContext(id),
      sealed: sealed ?? '',
      replace: (next: string) =>
        db
          .update(vms)
          .set({ homeKeySealed: next })
          .where(and(eq(vms.id, id), eq(vms.homeKeySealed, sealed ?? ''))),
    })),
  ];
}

/**
 * Changing the vault key: a new key beside the old one, every sealed row under the new one, then the old key goes. Each row is
 * replaced only when it still is what was read, so that what is stored meanwhile is never undone.
 */
import { and, asc, eq } from 'drizzle-orm';
import type { VaultStatus } from '@airlock/contract/api';
import type { VaultContext } from './context.js';
import { homeContext, listHomeKeys } from './home-key.js';
import { contextOf, of } from './rows.js';
import { credentials, homeKeys } from './table.js';

interface Sealed {
  context: string;
  sealed: string;
  /** Stores `next` unless the row has changed meanwhile. */
  replace(next: string): Promise<unknown>;
}

/** Rows between two lines in the log. */
const logEvery = 20;

export async function vaultStatus(ctx: VaultContext): Promise<VaultStatus> {
  const all = await everySealed(ctx);
  const [keyId, ...oldKeyIds] = ctx.ring.ids();
  const count = (age: string): number => all.filter(({ sealed }) => ctx.ring.ageOf(sealed) === age).length;
  return { keyId, oldKeyIds, sealed: all.length, underOldKeys: count('old'), lost: count('unknown') };
}

/** One at a time. */
export async function rotate(ctx: VaultContext): Promise<VaultStatus> {
  const { ring, log } = ctx;
  // More than one key: a rotation that did not come to its end. It is finished, not begun again.
  if (ring.ids().length === 1) await ring.turn();
  while ((await sealAgain(ctx)) > 0);
  const retired = ring.ids().slice(1);
  await ring.retire();
  log.info({ retired, keyId: ring.ids()[0] }, 'vault key rotated');
  return vaultStatus(ctx);
}

/** Seals again what an old key sealed; answers how many rows that were. */
async function sealAgain(ctx: VaultContext): Promise<number> {
  const { ring, log } = ctx;
  const old = (await everySealed(ctx)).filter(({ sealed }) => ring.ageOf(sealed) === 'old');
  for (const [done, { context, sealed, replace }] of old.entries()) {
    if (done % logEvery === 0) log.info({ done, of: old.length }, 'sealing again under the new key');
    const text = await ring.open(context, sealed);
    await ring.sealing(async (seal) => replace(await seal(context, text)));
  }
  return old.length;
}

async function everySealed(ctx: VaultContext): Promise<Sealed[]> {
  return [...(await sealedCredentials(ctx)), ...(await sealedHomeKeys(ctx))];
}

async function sealedCredentials({ db }: VaultContext): Promise<Sealed[]> {
  const rows = await db.select().from(credentials).orderBy(asc(credentials.userId), asc(credentials.provider));
  return rows.map((row) => {
    const unchanged = and(of(row), eq(credentials.generation, row.generation), eq(credentials.sealed, row.sealed));
    return {
      context: contextOf(row),
      sealed: row.sealed,
      replace: (sealed) => db.update(credentials).set({ sealed }).where(unchanged),
    };
  });
}

async function sealedHomeKeys(ctx: VaultContext): Promise<Sealed[]> {
  return (await listHomeKeys(ctx)).map(({ vmId, sealed: read }) => ({
    context: homeContext(vmId),
    sealed: read,
    replace: (sealed) =>
      ctx.db
        .update(homeKeys)
        .set({ sealed })
        .where(and(eq(homeKeys.vmId, vmId), eq(homeKeys.sealed, read))),
  }));
}

/** Credentials that are sealed and not yet proved, and how any of them is opened. */
import { and, eq, isNull, ne, type SQL } from 'drizzle-orm';
import { StoredBundle, type CredentialBundle } from '@airlock/contract/guest';
import { changing, judged, type VaultContext } from './context.js';
import { contextOf, nextGeneration, of } from './rows.js';
import { credentials } from './table.js';
import type { CredentialRow, NewCredential, Owner, StagedCredential } from './vault.js';

export function stage(ctx: VaultContext, owner: NewCredential, bundle: CredentialBundle): Promise<{ lineage: number }> {
  return changing(ctx, owner, async (tx, seal) => {
    const own = judged(ctx, owner, bundle);
    const { userId, provider, sessionId, method = 'login' } = owner;
    const same = sessionId === null ? isNull(credentials.sessionId) : eq(credentials.sessionId, sessionId);
    await tx.delete(credentials).where(and(of(owner), eq(credentials.state, 'staged'), same));
    const generation = await nextGeneration(tx, owner);
    const row = { userId, provider, sessionId, method, generation, lineage: generation };
    const sealed = await seal(contextOf(row), JSON.stringify(own));
    await tx.insert(credentials).values({ ...row, state: 'staged', sealed });
    return { lineage: generation };
  });
}

export const staged = (ctx: VaultContext, sessionId: string): Promise<StagedCredential | undefined> =>
  opened(ctx, and(eq(credentials.sessionId, sessionId), eq(credentials.state, 'staged')));

export const active = (ctx: VaultContext, owner: Owner): Promise<StagedCredential | undefined> =>
  opened(ctx, and(of(owner), eq(credentials.state, 'active')));

async function opened(ctx: VaultContext, which: SQL | undefined): Promise<StagedCredential | undefined> {
  const [row] = await ctx.db.select().from(credentials).where(which);
  return row && { lineage: row.lineage, bundle: await readRow(ctx, row) };
}

/** Judged once more: rows of versions before may hold more than a login. @throws AppError vault_key_invalid, credential_invalid */
export async function readRow(ctx: VaultContext, row: CredentialRow): Promise<CredentialBundle> {
  return judged(ctx, row, await openRow(ctx, row));
}

/** As it was sealed. */
export async function openRow({ ring }: VaultContext, row: CredentialRow): Promise<CredentialBundle> {
  return StoredBundle.parse(JSON.parse(await ring.open(contextOf(row), row.sealed)));
}

export async function isCommitted({ db }: VaultContext, sessionId: string): Promise<boolean> {
  const mine = and(eq(credentials.sessionId, sessionId), eq(credentials.state, 'active'));
  return (await db.select({ state: credentials.state }).from(credentials).where(mine)).length > 0;
}

export async function discard({ db }: VaultContext, sessionId: string): Promise<void> {
  await db.delete(credentials).where(and(eq(credentials.sessionId, sessionId), ne(credentials.state, 'active')));
}

export async function discardKey({ db }: VaultContext, owner: Owner, lineage: number): Promise<void> {
  await db.delete(credentials).where(and(of(owner), eq(credentials.state, 'staged'), eq(credentials.lineage, lineage)));
}

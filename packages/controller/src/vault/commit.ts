/** A staged credential that its CLI has accepted becomes the active one, and the only one. */
import { and, eq } from 'drizzle-orm';
import { AppError } from '@airlock/contract/errors';
import type { Transaction } from '../store/store.js';
import { changing, type VaultContext } from './context.js';
import type { Seal } from './ring.js';
import { contextOf, dropOthers, nextGeneration, of } from './rows.js';
import { credentials, custody } from './table.js';
import type { CredentialRow, Owner } from './vault.js';

export function commit(ctx: VaultContext, owner: Owner, lineage: number): Promise<void> {
  return changing(ctx, owner, async (tx, seal) => {
    const rows = await tx.select().from(credentials).where(of(owner));
    const active = rows.find(({ state }) => state === 'active');
    if (active?.lineage === lineage) return;
    const staged = provedRow(owner, lineage, rows);
    const proved = active && active.generation > staged.generation ? await renumber(ctx, tx, staged, seal) : staged;
    await dropOthers(tx, proved);
    await tx
      .update(credentials)
      .set({ state: 'active', updatedAt: new Date() })
      .where(and(of(owner), eq(credentials.generation, proved.generation)));
    const accepted = {
      health: 'valid',
      healthReason: 'The CLI accepts it.',
      checkedAt: new Date(),
      error: null,
    } as const;
    await tx.update(custody).set(accepted).where(of(owner, custody));
  });
}

/** @throws AppError vault_conflict */
function provedRow({ provider }: Owner, lineage: number, rows: readonly CredentialRow[]): CredentialRow {
  const active = rows.find(({ state }) => state === 'active');
  if (active && active.lineage > lineage) {
    throw new AppError(
      'vault_conflict',
      `Sign-in ${lineage} of the ${provider} credential is older than the active one (${active.lineage}).`,
    );
  }
  const staged = rows.find((row) => row.state === 'staged' && row.lineage === lineage);
  if (staged) return staged;
  throw new AppError('vault_conflict', `Sign-in ${lineage} of the ${provider} credential is not in the vault.`);
}

/** A CLI has refreshed the older sign-in meanwhile: the proved one gets a number above that. */
async function renumber(
  { ring }: VaultContext,
  tx: Transaction,
  row: CredentialRow,
  seal: Seal,
): Promise<CredentialRow> {
  const generation = await nextGeneration(tx, row);
  const next = { ...row, generation };
  const sealed = await seal(contextOf(next), await ring.open(contextOf(row), row.sealed));
  const mine = and(of(row), eq(credentials.generation, row.generation));
  await tx.update(credentials).set({ generation, sealed }).where(mine);
  await tx
    .update(custody)
    .set({ deliveredGeneration: generation })
    .where(and(of(row, custody), eq(custody.deliveredGeneration, row.generation)));
  return { ...next, sealed };
}

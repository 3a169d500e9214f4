/** Rows of one credential: their conditions, their lock, and the number that each next form of it gets. */
import { and, eq, ne, sql } from 'drizzle-orm';
import { AppError } from '@airlock/contract/errors';
import { credentials, custody } from './table.js';
import type { Database } from '../store/store.js';
import type { Owner } from './vault.js';

export type Transaction = Parameters<Parameters<Database['transaction']>[0]>[0];

/** What a credential is sealed for. */
export const contextOf = (row: Owner & { generation: number }): string =>
  `credential/${row.userId}/${row.provider}/${row.generation}`;

/** The rows of this owner in one of the two tables. */
export const of = (owner: Owner, table: typeof credentials | typeof custody = credentials) =>
  and(eq(table.userId, owner.userId), eq(table.provider, owner.provider));

/** Until the transaction ends nobody else changes this credential; makes the row of its custody the first time. */
export async function lockCustody(tx: Transaction, { userId, provider }: Owner): Promise<void> {
  await tx.insert(custody).values({ userId, provider }).onConflictDoNothing();
  await tx.select().from(custody).where(of({ userId, provider }, custody)).for('update');
}

/** A number that no form of this credential has had. */
export async function nextGeneration(tx: Transaction, owner: Owner): Promise<number> {
  const [row] = await tx
    .update(custody)
    .set({ lastGeneration: sql`${custody.lastGeneration} + 1` })
    .where(of(owner, custody))
    .returning({ generation: custody.lastGeneration });
  if (!row) throw new AppError('internal', 'A credential without a row of its custody.');
  return row.generation;
}

/** Removes every other form of this credential. */
export async function dropOthers(tx: Transaction, row: Owner & { generation: number }): Promise<void> {
  await tx.delete(credentials).where(and(of(row), ne(credentials.generation, row.generation)));
}

/** Rows of credentials: their conditions, their lock, the number that each next form gets, and their lists. */
import { and, desc, eq, isNull, ne, sql } from 'drizzle-orm';
import { AppError } from '@airlock/contract/errors';
import { credentials, custody } from './table.js';
import type { Database, Transaction } from '../store/store.js';
import type { CredentialRow, CustodyNote, CustodyRow, Owner } from './vault.js';

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

export async function list(db: Database, userId: string | null): Promise<CredentialRow[]> {
  return db
    .select()
    .from(credentials)
    .where(userId === null ? undefined : eq(credentials.userId, userId))
    .orderBy(credentials.userId, credentials.provider, desc(credentials.generation));
}

export async function stagedKeys(db: Database): Promise<CredentialRow[]> {
  return db
    .select()
    .from(credentials)
    .where(and(eq(credentials.state, 'staged'), isNull(credentials.sessionId)));
}

export async function listCustody(db: Database, userId: string | null): Promise<CustodyRow[]> {
  return db
    .select()
    .from(custody)
    .where(userId === null ? undefined : eq(custody.userId, userId));
}

export async function note(db: Database, owner: Owner, values: CustodyNote): Promise<void> {
  await db.update(custody).set(values).where(of(owner, custody));
}

export async function forget(db: Database, userId: string): Promise<void> {
  await db.transaction(async (tx) => {
    // As everything that changes a credential: the row of its custody first.
    await tx.delete(custody).where(eq(custody.userId, userId));
    await tx.delete(credentials).where(eq(credentials.userId, userId));
  });
}

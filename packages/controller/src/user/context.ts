/** What the verbs of this folder work on, and the one user whom most of them begin with and nobody else changes meanwhile. */
import { eq, type SQL } from 'drizzle-orm';
import { AppError } from '@airlock/contract/errors';
import type { Audit } from '../audit/audit.js';
import type { Store, Transaction } from '../store/store.js';
import type { UserRow } from './create.js';
import type { OnceContext } from './once.js';
import { tokens, users } from './table.js';

export interface UsersContext extends OnceContext {
  /** Of the admin's API token. */
  adminHash: string;
  storeAdminToken(token: string): Promise<void>;
  audit: Pick<Audit, 'note'>;
}

type TokenRow = typeof tokens.$inferSelect;

/** A change of one user, and of what opens their account. */
export interface Change {
  tx: Transaction;
  /** As the row is now, and stays until the change is made. */
  user: UserRow;
  /** Takes out of use what `which` names, and tells what it was. */
  drop(which: SQL | undefined): Promise<TokenRow[]>;
}

/**
 * Does `work` in a transaction that nobody else who changes this user overlaps: what makes a secret of theirs, and what ends them
 * all, come one after the other. @throws AppError not_found
 */
export async function changing<T>(
  { db, known }: UsersContext,
  userId: string,
  work: (change: Change) => Promise<T>,
): Promise<T> {
  const dropped: string[] = [];
  const done = await db.transaction(async (tx) => {
    const [user] = await tx.select().from(users).where(eq(users.id, userId)).for('update');
    if (!user) throw noUser(userId);
    const drop: Change['drop'] = async (which) => {
      const rows = await tx.delete(tokens).where(which).returning();
      dropped.push(...rows.map(({ hash }) => hash));
      return rows;
    };
    return work({ tx, user, drop });
  });
  dropped.forEach(known.forget);
  return done;
}

/** @throws AppError not_found */
export async function get(db: Pick<Store['db'], 'select'>, userId: string): Promise<UserRow> {
  const [row] = await db.select().from(users).where(eq(users.id, userId));
  if (row) return row;
  throw noUser(userId);
}

const noUser = (userId: string): AppError => new AppError('not_found', `There is no user ${userId}.`);

/** @throws AppError user_disabled */
export function requireActive(row: UserRow): UserRow {
  if (!row.disabledAt) return row;
  const what = row.removedAt ? 'is being removed' : 'is disabled';
  throw new AppError('user_disabled', `${row.name} ${what}: nobody signs in as them, and nothing of theirs starts.`, {
    hint: row.removedAt ? '' : `An administrator lets them in again: \`npx airlock user enable ${row.name}\`.`,
  });
}

/** What the verbs of this folder work on, and the one user whom most of them begin with. */
import { eq } from 'drizzle-orm';
import { AppError } from '@airlock/contract/errors';
import type { Queue } from '../lib/keyed.js';
import type { Store } from '../store/store.js';
import type { UserRow } from './create.js';
import type { OnceContext } from './once.js';
import { users } from './table.js';

export interface UsersContext extends OnceContext {
  /** Of the admin's API token. */
  adminHash: string;
  storeAdminToken(token: string): Promise<void>;
  /** Rotations of tokens by user, so that the file and `adminHash` never differ. */
  rotations: Queue;
}

/** @throws AppError not_found */
export async function get(db: Pick<Store['db'], 'select'>, userId: string): Promise<UserRow> {
  const [row] = await db.select().from(users).where(eq(users.id, userId));
  if (row) return row;
  throw new AppError('not_found', `There is no user ${userId}.`);
}

/** @throws AppError not_found, user_disabled */
export async function getActive(db: Pick<Store['db'], 'select'>, userId: string): Promise<UserRow> {
  const row = await get(db, userId);
  if (!row.disabledAt) return row;
  const what = row.removedAt ? 'is being removed' : 'is disabled';
  throw new AppError('user_disabled', `${row.name} ${what}: nobody signs in as them, and nothing of theirs starts.`, {
    hint: row.removedAt ? '' : `An administrator lets them in again: \`npx airlock user enable ${row.name}\`.`,
  });
}

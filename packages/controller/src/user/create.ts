/** Makes people: the admin at the first start, everybody else by name. The database decides who gets which proxy port. */
import { sql } from 'drizzle-orm';
import type { ListedUser, User } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import { newId } from '@airlock/contract/ids';
import { hashSecret, newSecret } from '../lib/secret.js';
import { violatedUnique } from '../store/open.js';
import type { Actor } from '../audit/audit.js';
import type { UsersContext } from './context.js';
import { users } from './table.js';
import type { Database } from '../store/store.js';

export type UserRow = typeof users.$inferSelect;

export const toUser = (row: UserRow): User => ({
  id: row.id,
  name: row.name,
  role: row.role,
  proxyPort: row.proxyPort,
  createdAt: row.createdAt.toISOString(),
});

export const toListed = (row: UserRow): ListedUser => ({
  ...toUser(row),
  state: row.removedAt ? 'removing' : row.disabledAt ? 'disabled' : 'active',
});

/** Two people made at once ask for the same port; the constraint lets one have it, and the other asks again. */
const portAttempts = 50;

/** Makes `admin` unless it exists. */
export async function ensureAdmin(db: Database, portBase: number): Promise<void> {
  await db
    .insert(users)
    .values({ id: newId('usr'), name: 'admin', role: 'admin', proxyPort: nextPort(portBase), tokenHash: null })
    .onConflictDoNothing({ target: users.name });
}

/** @throws AppError user_exists */
export async function createUser(
  { db, known, audit }: UsersContext,
  name: string,
  portBase: number,
  actor: Actor,
): Promise<{ user: User; token: string }> {
  const token = newSecret();
  const tokenHash = hashSecret(token);
  for (let attempt = 1; ; attempt++) {
    try {
      const values = { id: newId('usr'), name, role: 'user', proxyPort: nextPort(portBase), tokenHash } as const;
      const row = await db.transaction(async (tx) => {
        const [made] = await tx.insert(users).values(values).returning();
        if (!made) throw new AppError('internal', 'The database made no user and gave no reason.');
        await audit.note({ actor, action: 'user_created', userId: made.id, subject: name }, tx);
        return made;
      });
      known.add(tokenHash, row.id, null);
      return { user: toUser(row), token };
    } catch (error) {
      if (violatedUnique(error) === 'users_name_key') {
        throw new AppError('user_exists', `There is already a user named ${name}.`, {
          hint: 'Choose another name.',
          cause: error,
        });
      }
      if (violatedUnique(error) !== 'users_proxy_port_key' || attempt === portAttempts) throw error;
    }
  }
}

/** One above the highest port in use, or `base` when none is. */
const nextPort = (base: number) =>
  sql<number>`(select coalesce(max(${users.proxyPort}) + 1, ${base}::integer) from ${users} where ${users.proxyPort} >= ${base}::integer)`;

/** Keeping a user out, for a while or for good. What else is theirs, others end and remove. */
import { and, eq, isNotNull, isNull, ne } from 'drizzle-orm';
import { AppError } from '@airlock/contract/errors';
import type { Store } from '../store/store.js';
import { get, type UsersContext } from './context.js';
import { revoke } from './once.js';
import { tokens, users } from './table.js';

/** See `Users.requireDispensable`. */
export async function requireDispensable(db: Pick<Store['db'], 'select'>, userId: string): Promise<void> {
  const { role, name } = await get(db, userId);
  if (role !== 'admin') return;
  const others = and(eq(users.role, 'admin'), isNull(users.disabledAt), ne(users.id, userId));
  // Whoever keeps two administrators out at once waits here for the other.
  const left = await db.select().from(users).where(others).for('update');
  if (left.length > 0) return;
  throw new AppError('last_admin', `${name} is the only administrator, and cannot be disabled or removed.`, {
    hint: `If the token is known to somebody else, make another one: \`npx airlock user rotate-token ${name}\`.`,
  });
}

/** See `Users.keepOut`. */
export async function keepOut(ctx: UsersContext, userId: string, how: 'disabled' | 'removing'): Promise<void> {
  const { db, known, now } = ctx;
  await db.transaction(async (tx) => {
    await requireDispensable(tx, userId);
    const { disabledAt, removedAt } = await get(tx, userId);
    const gone = how === 'removing' ? { removedAt: removedAt ?? now() } : {};
    await tx
      .update(users)
      .set({ disabledAt: disabledAt ?? now(), ...gone })
      .where(eq(users.id, userId));
    await revoke({ db: tx, known }, eq(tokens.userId, userId));
  });
}

/** See `Users.letIn`. What a login that was under way has left is worth nothing. */
export async function letIn({ db, known }: UsersContext, userId: string): Promise<void> {
  await db.transaction(async (tx) => {
    const { name, disabledAt, removedAt } = await get(tx, userId);
    if (removedAt) throw new AppError('user_disabled', `${name} is being removed, and does not come back.`);
    if (!disabledAt) return;
    await revoke({ db: tx, known }, eq(tokens.userId, userId));
    await tx
      .update(users)
      .set({ disabledAt: null })
      .where(and(eq(users.id, userId), isNull(users.removedAt)));
  });
}

/** See `Users.forget`. */
export async function forget({ db, known }: UsersContext, userId: string): Promise<void> {
  const gone = await db
    .delete(users)
    .where(and(eq(users.id, userId), isNotNull(users.removedAt)))
    .returning();
  for (const { tokenHash } of gone) if (tokenHash !== null) known.forget(tokenHash);
}

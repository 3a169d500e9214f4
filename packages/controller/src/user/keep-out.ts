/** Keeping a user out, for a while or for good. What else is theirs, others end and remove. */
import { and, eq, isNotNull, isNull, ne } from 'drizzle-orm';
import { AppError } from '@airlock/contract/errors';
import type { Actor } from '../audit/audit.js';
import type { Transaction } from '../store/store.js';
import { changing, type UsersContext } from './context.js';
import type { UserRow } from './create.js';
import { tokens, users } from './table.js';

/** @throws AppError last_admin */
async function requireDispensable(tx: Transaction, { id, role, name }: UserRow): Promise<void> {
  if (role !== 'admin') return;
  const others = and(eq(users.role, 'admin'), isNull(users.disabledAt), ne(users.id, id));
  // Whoever keeps two administrators out at once waits here for the other.
  const left = await tx.select().from(users).where(others).for('update');
  if (left.length > 0) return;
  throw new AppError('last_admin', `${name} is the only administrator, and cannot be disabled or removed.`, {
    hint: `If the token is known to somebody else, make another one: \`npx airlock user rotate-token ${name}\`.`,
  });
}

/** See `Users.keepOut`. */
export function keepOut(ctx: UsersContext, userId: string, how: 'disabled' | 'removing', actor: Actor): Promise<void> {
  const { audit, now } = ctx;
  const action = how === 'disabled' ? 'user_disabled' : 'user_removed';
  return changing(ctx, userId, async ({ tx, user, drop }) => {
    await requireDispensable(tx, user);
    const gone = how === 'removing' ? { removedAt: user.removedAt ?? now() } : {};
    await audit.note({ actor, action, userId, subject: user.name }, tx);
    await tx
      .update(users)
      .set({ disabledAt: user.disabledAt ?? now(), ...gone })
      .where(eq(users.id, userId));
    await drop(eq(tokens.userId, userId));
  });
}

/** See `Users.letIn`. */
export function letIn(ctx: UsersContext, userId: string, actor: Actor): Promise<void> {
  return changing(ctx, userId, async ({ tx, user: { name, disabledAt, removedAt }, drop }) => {
    if (removedAt) throw new AppError('user_disabled', `${name} is being removed, and does not come back.`);
    // A ticket whose request was under way.
    if (disabledAt) await drop(eq(tokens.userId, userId));
    await ctx.audit.note({ actor, action: 'user_enabled', userId, subject: name }, tx);
    await tx.update(users).set({ disabledAt: null }).where(eq(users.id, userId));
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

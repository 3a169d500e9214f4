/** Browsers that are signed in: seen, and ended one by one or all at once. */
import { and, desc, eq, gt, isNull, lt, or } from 'drizzle-orm';
import type { SignIn } from '@airlock/contract/sign-ins';
import { AppError } from '@airlock/contract/errors';
import type { Actor } from '../audit/audit.js';
import { changing, type UsersContext } from './context.js';
import { tokens } from './table.js';

type TokenRow = typeof tokens.$inferSelect;

/** The last use of a sign-in is written down no more often than this, in ms. */
const useStepMs = 60_000;

/** Notes that the sign-in is used now. */
export async function noteUse({ db, now }: UsersContext, { hash, lastUsedAt }: TokenRow): Promise<void> {
  const before = new Date(now().getTime() - useStepMs);
  if (lastUsedAt && lastUsedAt > before) return;
  const stale = or(isNull(tokens.lastUsedAt), lt(tokens.lastUsedAt, before));
  await db
    .update(tokens)
    .set({ lastUsedAt: now() })
    .where(and(eq(tokens.hash, hash), stale));
}

const ofUser = (userId: string) => and(eq(tokens.userId, userId), eq(tokens.kind, 'cookie'));

/** See `Users.signIns`. */
export async function signIns({ db, now }: UsersContext, userId: string): Promise<Omit<SignIn, 'current'>[]> {
  const rows = await db
    .select()
    .from(tokens)
    .where(and(ofUser(userId), gt(tokens.expiresAt, now())))
    .orderBy(desc(tokens.createdAt));
  return rows.flatMap(({ id, createdAt, lastUsedAt, expiresAt }) => {
    const iso = (date: Date): string => date.toISOString();
    const times = { createdAt: iso(createdAt), lastUsedAt: lastUsedAt && iso(lastUsedAt), expiresAt: iso(expiresAt) };
    return id === null ? [] : [{ id, ...times }];
  });
}

/** See `Users.endSignIn`. */
export function endSignIn(ctx: UsersContext, userId: string, signIn: string, actor: Actor): Promise<void> {
  return changing(ctx, userId, async ({ tx, drop }) => {
    const ended = await drop(and(ofUser(userId), eq(tokens.id, signIn)));
    if (ended.length === 0) throw new AppError('not_found', `There is no sign-in ${signIn}.`);
    await drop(eq(tokens.signIn, signIn));
    await ctx.audit.note({ actor, action: 'signed_out', userId, subject: signIn }, tx);
  });
}

/** See `Users.endSignIns`. */
export function endSignIns(ctx: UsersContext, userId: string, actor: Actor): Promise<number> {
  return changing(ctx, userId, async ({ tx, user, drop }) => {
    const ended = await drop(eq(tokens.userId, userId));
    await ctx.audit.note({ actor, action: 'signed_out_everywhere', userId, subject: user.name }, tx);
    return ended.filter(({ kind }) => kind === 'cookie').length;
  });
}

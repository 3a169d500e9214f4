/**
 * A browser signs in, and shows that it has. It has two secrets: a cookie, which it hands to every port of a host, and a page secret,
 * which only pages of one origin have. Neither is anything without the other.
 */
import { and, eq, gt, isNull, or } from 'drizzle-orm';
import type { User } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import { newId } from '@airlock/contract/ids';
import { hashSecret, newSecret, sameHash } from '../lib/secret.js';
import type { Actor } from '../audit/audit.js';
import type { Transaction } from '../store/store.js';
import { changing, requireActive, type UsersContext } from './context.js';
import { toUser } from './create.js';
import { issue, redeem } from './once.js';
import { noteUse } from './sign-ins.js';
import { tokens, users } from './table.js';
import type { Identified, Users } from './user.js';

/** See `Users.ownerOf`. */
export function ownerOf({ known }: Pick<UsersContext, 'known'>, hash: string, page?: string): string | undefined {
  const found = known.find(hash);
  if (!found) return undefined;
  const { pageHash, userId } = found;
  return pageHash === null || (page !== undefined && sameHash(hashSecret(page), pageHash)) ? userId : undefined;
}

/** See `Users.byCookie`. */
export async function byCookie(ctx: UsersContext, cookie: string, page: string): ReturnType<Users['byCookie']> {
  if (ownerOf(ctx, hashSecret(cookie), page) === undefined) return undefined;
  const found = await findLive(ctx, 'cookie', cookie);
  const { id, pageHash, expiresAt } = found?.token ?? {};
  if (!found || !id || !pageHash || !expiresAt || !sameHash(hashSecret(page), pageHash)) return undefined;
  await noteUse(ctx, found.token);
  return { user: found.user, signIn: { id, expiresAt } };
}

/** See `Users.accountOf`. */
export async function accountOf(ctx: UsersContext, token: string): ReturnType<Users['accountOf']> {
  const found = await findLive(ctx, 'login', token);
  if (found) return { user: found.user, expiresAt: found.token.expiresAt };
  throw linkInvalid();
}

/** See `Users.createLoginToken`. */
export function createLoginToken(
  ctx: UsersContext,
  userId: string,
  { actor, madeWith }: { actor: Actor; madeWith: string | null },
): ReturnType<Users['createLoginToken']> {
  return changing(ctx, userId, async ({ tx, user }) => {
    requireActive(user);
    const { secret, expiresAt } = await issue({ ...ctx, db: tx }, 'login', { userId, madeWith });
    await ctx.audit.note({ actor, action: 'login_link_created', userId }, tx);
    return { token: secret, expiresAt };
  });
}

/** See `Users.login`. */
export async function login(ctx: UsersContext, token: string): ReturnType<Users['login']> {
  const { known, now, audit } = ctx;
  const hash = hashSecret(token);
  const userId = known.find(hash)?.userId;
  if (userId === undefined) throw linkInvalid();
  return changing(ctx, userId, async ({ tx, user: row, drop }) => {
    const [used] = await drop(and(eq(tokens.hash, hash), eq(tokens.kind, 'login'), gt(tokens.expiresAt, now())));
    if (!used || !(await isMakerGood(ctx, tx, used.madeWith))) throw linkInvalid();
    const user = toUser(requireActive(row));
    const id = newId('sgn');
    const page = newSecret();
    const holder = { userId, id, pageHash: hashSecret(page) };
    const { secret, expiresAt } = await issue({ ...ctx, db: tx }, 'cookie', holder);
    const actor = { actorId: userId, actorName: user.name, via: 'cookie' } as const;
    await audit.note({ actor, action: 'signed_in', userId, subject: id }, tx);
    return { user, signIn: id, cookie: secret, page, expiresAt };
  });
}

/** Whether the API token of this hash is still one, and stays so until the transaction ends. Null: made by Airlock itself. */
async function isMakerGood(
  ctx: UsersContext,
  db: Pick<Transaction, 'select'>,
  madeWith: string | null,
): Promise<boolean> {
  if (madeWith === null) return true;
  const makers = await db
    .select()
    .from(users)
    .where(and(or(eq(users.tokenHash, madeWith), eq(users.name, 'admin')), isNull(users.disabledAt)))
    // Shared: who changes a maker waits, and those who sign in by the links of one do not wait for each other.
    .for('share');
  return makers.some(({ tokenHash }) => tokenHash === madeWith || (tokenHash === null && ctx.adminHash === madeWith));
}

/** See `Users.redeemDesktopTicket`. */
export async function redeemDesktopTicket(ctx: UsersContext, ticket: string, vmId: string): Promise<Identified> {
  const used = await redeem(ctx, 'desktop', ticket);
  const caller = used?.vmId === vmId ? await holderOfTicket(ctx, used) : undefined;
  if (caller) return caller;
  throw new AppError(
    'ticket_invalid',
    'This desktop ticket is unknown, was used already, expired, or is for another VM.',
    {
      hint: 'Ask for a new one: POST /api/vm/:id/desktop-ticket. It is good once, for 30 seconds.',
    },
  );
}

type TokenRow = typeof tokens.$inferSelect;

/** Undefined when the user is kept out, or the sign-in that asked for the ticket has ended. */
async function holderOfTicket(
  ctx: UsersContext,
  { userId, signIn, madeWith }: TokenRow,
): Promise<Identified | undefined> {
  const { db, now } = ctx;
  if (!(await isMakerGood(ctx, db, madeWith))) return undefined;
  const [user] = await db
    .select()
    .from(users)
    .where(and(eq(users.id, userId), isNull(users.disabledAt)));
  if (!user) return undefined;
  if (signIn === null) return { user: toUser(user), signIn: null };
  const [asked] = await db
    .select()
    .from(tokens)
    .where(and(eq(tokens.id, signIn), gt(tokens.expiresAt, now())));
  return asked && { user: toUser(user), signIn: { id: signIn, expiresAt: asked.expiresAt } };
}

/** The row of a secret whose end has not come, and its user, unless that one is kept out. */
export async function findLive(
  { db, known, now }: UsersContext,
  kind: 'cookie' | 'login',
  secret: string,
): Promise<{ token: TokenRow; user: User } | undefined> {
  const hash = hashSecret(secret);
  if (known.find(hash) === undefined) return undefined;
  const isLive = and(eq(tokens.hash, hash), eq(tokens.kind, kind), gt(tokens.expiresAt, now()));
  const [found] = await db
    .select({ token: tokens, user: users })
    .from(tokens)
    .innerJoin(users, eq(users.id, tokens.userId))
    .where(and(isLive, isNull(users.disabledAt)));
  return found && { token: found.token, user: toUser(found.user) };
}

const linkInvalid = (): AppError =>
  new AppError('login_token_invalid', 'This login link is unknown, was used already, or has expired.', {
    hint: 'Ask whoever runs this Airlock for a new one; it is good once, for ten minutes.',
  });

/** Implements the face in user.ts on the tables `users` and `tokens`. */
import { and, asc, eq, gt, type SQL } from 'drizzle-orm';
import { AppError } from '@airlock/contract/errors';
import type { Settings } from '@airlock/contract/settings';
import { hashSecret, sameHash } from '../lib/secret.js';
import { tokens, users } from './table.js';
import type { Store } from '../store/store.js';
import { createUser, ensureAdmin, toUser, type UserRow } from './create.js';
import { loadKnown } from './known.js';
import { issue, redeem, removeExpired, type OnceContext } from './once.js';
import type { Users } from './user.js';

export interface UsersOptions {
  settings: Pick<Settings, 'AIRLOCK_PROXY_PORT_BASE'>;
  /** The content of $AIRLOCK_HOME/token. */
  adminToken: string;
  now?: () => Date;
}

/** The people of this controller; makes the admin when there is none. */
export async function createUsers(store: Store, options: UsersOptions): Promise<Users> {
  const { db } = store;
  const portBase = options.settings.AIRLOCK_PROXY_PORT_BASE;
  const now = options.now ?? (() => new Date());
  await ensureAdmin(db, portBase);
  const ctx = { db, now, adminHash: hashSecret(options.adminToken), known: await loadKnown(db, now) };
  const admin = await find(db, eq(users.name, 'admin'));
  if (admin) ctx.known.add(ctx.adminHash, admin.id, null);
  return {
    ownerOf: (secret) => ctx.known.ownerOf(hashSecret(secret)),
    byToken: (token) => byToken(ctx, token),
    byCookie: (cookie) => byCookie(ctx, cookie),
    list: async () => (await db.select().from(users).orderBy(asc(users.proxyPort))).map(toUser),
    proxyPort: async (userId) => (await get(db, userId)).proxyPort,
    create: (name) => createUser(ctx, name, portBase),
    createLoginToken: (userId) => createLoginToken(ctx, userId),
    login: (token) => login(ctx, token),
    logout: async (cookie) => void (await redeem(ctx, 'cookie', cookie)),
    createDesktopTicket: async (userId, vmId) => {
      const { secret, expiresAt } = await issue(ctx, 'desktop', { userId, vmId });
      return { ticket: secret, expiresAt };
    },
    redeemDesktopTicket: (ticket, vmId) => redeemDesktopTicket(ctx, ticket, vmId),
    sweep: () => removeExpired(ctx),
  };
}

interface UsersContext extends OnceContext {
  adminHash: string;
}

async function find(db: Store['db'], which: SQL): Promise<UserRow | undefined> {
  return (await db.select().from(users).where(which))[0];
}

async function byToken({ db, known, adminHash }: UsersContext, token: string) {
  const hash = hashSecret(token);
  if (known.ownerOf(hash) === undefined) return undefined;
  const row = sameHash(hash, adminHash)
    ? await find(db, eq(users.name, 'admin'))
    : await find(db, eq(users.tokenHash, hash));
  return row && toUser(row);
}

async function byCookie({ db, known, now }: UsersContext, cookie: string) {
  const hash = hashSecret(cookie);
  if (known.ownerOf(hash) === undefined) return undefined;
  const [found] = await db
    .select({ user: users })
    .from(tokens)
    .innerJoin(users, eq(users.id, tokens.userId))
    .where(and(eq(tokens.hash, hash), eq(tokens.kind, 'cookie'), gt(tokens.expiresAt, now())));
  return found && toUser(found.user);
}

async function createLoginToken(ctx: UsersContext, userId: string) {
  await get(ctx.db, userId);
  const { secret, expiresAt } = await issue(ctx, 'login', { userId, vmId: null });
  return { token: secret, expiresAt };
}

async function login(ctx: UsersContext, token: string) {
  const used = await redeem(ctx, 'login', token);
  if (!used) {
    throw new AppError('login_token_invalid', 'This login link is unknown, was used already, or has expired.', {
      hint: 'Ask whoever runs this Airlock for a new one; it is good once, for ten minutes.',
    });
  }
  const { secret, expiresAt } = await issue(ctx, 'cookie', { userId: used.userId, vmId: null });
  return { user: toUser(await get(ctx.db, used.userId)), cookie: secret, expiresAt };
}

async function redeemDesktopTicket(ctx: UsersContext, ticket: string, vmId: string) {
  const used = await redeem(ctx, 'desktop', ticket);
  if (used?.vmId === vmId) return { userId: used.userId };
  throw new AppError(
    'ticket_invalid',
    'This desktop ticket is unknown, was used already, expired, or is for another VM.',
    {
      hint: 'Ask for a new one: POST /api/vm/:id/desktop-ticket. It is good once, for 30 seconds.',
    },
  );
}

async function get(db: Store['db'], userId: string): Promise<UserRow> {
  const row = await find(db, eq(users.id, userId));
  if (row) return row;
  throw new AppError('not_found', `There is no user ${userId}.`);
}

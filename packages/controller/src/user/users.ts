/** Implements the face in user.ts on the tables `users` and `tokens`. */
import { and, asc, eq, gt, isNull } from 'drizzle-orm';
import { AppError } from '@airlock/contract/errors';
import type { Settings } from '@airlock/contract/settings';
import { createQueue } from '../lib/keyed.js';
import { hashSecret, sameHash } from '../lib/secret.js';
import { tokens, users } from './table.js';
import type { Store } from '../store/store.js';
import { get, getActive, type UsersContext } from './context.js';
import { createUser, ensureAdmin, toListed, toUser } from './create.js';
import { forget, keepOut, letIn, requireDispensable } from './keep-out.js';
import { loadKnown } from './known.js';
import { issue, redeem, removeExpired } from './once.js';
import { rotateToken } from './rotate.js';
import { endSignIn, endSignIns, noteUse, signIns } from './sign-ins.js';
import type { Users } from './user.js';

export interface UsersOptions {
  settings: Pick<Settings, 'AIRLOCK_PROXY_PORT_BASE'>;
  /** The content of $AIRLOCK_HOME/token. */
  adminToken: string;
  /** Replaces that file. */
  storeAdminToken(token: string): Promise<void>;
  now?: () => Date;
}

/** The people of this controller; makes the admin when there is none. */
export async function createUsers(store: Store, options: UsersOptions): Promise<Users> {
  const { db } = store;
  const portBase = options.settings.AIRLOCK_PROXY_PORT_BASE;
  const now = options.now ?? (() => new Date());
  await ensureAdmin(db, portBase);
  const ctx: UsersContext = {
    ...{ db, now, known: await loadKnown(db, now) },
    adminHash: hashSecret(options.adminToken),
    storeAdminToken: options.storeAdminToken,
    rotations: createQueue(),
  };
  const [admin] = await db.select().from(users).where(eq(users.name, 'admin'));
  if (admin) ctx.known.add(ctx.adminHash, admin.id, null);
  return {
    ownerOf: (secret) => ctx.known.ownerOf(hashSecret(secret)),
    byToken: (token) => byToken(ctx, token),
    byCookie: (cookie) => byCookie(ctx, cookie),
    list: async () => (await db.select().from(users).orderBy(asc(users.proxyPort))).map(toListed),
    get: async (userId) => toListed(await get(db, userId)),
    proxyPort: async (userId) => (await getActive(db, userId)).proxyPort,
    create: (name) => createUser(ctx, name, portBase),
    rotateToken: (userId) => rotateToken(ctx, userId),
    requireDispensable: (userId) => requireDispensable(db, userId),
    keepOut: (userId, how) => keepOut(ctx, userId, how),
    letIn: (userId) => letIn(ctx, userId),
    forget: (userId) => forget(ctx, userId),
    signIns: (userId) => signIns(ctx, userId),
    endSignIn: (userId, signIn) => endSignIn(ctx, userId, signIn),
    endSignIns: (userId) => endSignIns(ctx, userId),
    createLoginToken: (userId) => createLoginToken(ctx, userId),
    login: (token) => login(ctx, token),
    createDesktopTicket: async (userId, vmId) => {
      const { secret, expiresAt } = await issue(ctx, 'desktop', { userId, vmId });
      return { ticket: secret, expiresAt };
    },
    redeemDesktopTicket: (ticket, vmId) => redeemDesktopTicket(ctx, ticket, vmId),
    sweep: () => removeExpired(ctx),
  };
}

async function byToken({ db, known, adminHash }: UsersContext, token: string) {
  const hash = hashSecret(token);
  if (known.ownerOf(hash) === undefined) return undefined;
  const whose = sameHash(hash, adminHash) ? eq(users.name, 'admin') : eq(users.tokenHash, hash);
  const [row] = await db
    .select()
    .from(users)
    .where(and(whose, isNull(users.disabledAt)));
  return row && toUser(row);
}

async function byCookie(ctx: UsersContext, cookie: string) {
  const { db, known, now } = ctx;
  const hash = hashSecret(cookie);
  if (known.ownerOf(hash) === undefined) return undefined;
  const good = and(eq(tokens.hash, hash), eq(tokens.kind, 'cookie'), gt(tokens.expiresAt, now()));
  const [found] = await db
    .select({ user: users, signIn: tokens })
    .from(tokens)
    .innerJoin(users, eq(users.id, tokens.userId))
    .where(and(good, isNull(users.disabledAt)));
  if (!found || found.signIn.id === null) return undefined;
  await noteUse(ctx, found.signIn);
  return { user: toUser(found.user), signIn: found.signIn.id };
}

async function createLoginToken(ctx: UsersContext, userId: string) {
  await getActive(ctx.db, userId);
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
  const user = toUser(await getActive(ctx.db, used.userId));
  const { secret, expiresAt } = await issue(ctx, 'cookie', { userId: used.userId, vmId: null });
  return { user, cookie: secret, expiresAt };
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

/** Implements the face in user.ts on the tables `users` and `tokens`. */
import { and, asc, eq, isNull } from 'drizzle-orm';
import type { Settings } from '@airlock/contract/settings';
import { createQueue } from '../lib/keyed.js';
import { hashSecret, sameHash } from '../lib/secret.js';
import { users } from './table.js';
import type { Store } from '../store/store.js';
import { get, getActive, type UsersContext } from './context.js';
import { createUser, ensureAdmin, toListed, toUser } from './create.js';
import { forget, keepOut, letIn, requireDispensable } from './keep-out.js';
import { loadKnown } from './known.js';
import { issue, removeExpired } from './once.js';
import { rotateToken } from './rotate.js';
import { accountOf, byCookie, findLive, login, ownerOf, redeemDesktopTicket } from './sign-in.js';
import { endSignIn, endSignIns, signIns } from './sign-ins.js';
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
    ownerOf: (secret, page) => ownerOf(ctx, hashSecret(secret), page),
    byToken: (token) => byToken(ctx, token),
    byCookie: (cookie, page) => byCookie(ctx, cookie, page),
    holderOf: async (cookie) => (await findLive(ctx, 'cookie', cookie))?.user,
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
    accountOf: (token) => accountOf(ctx, token),
    login: (token) => login(ctx, token),
    createDesktopTicket: async (userId, vmId, signIn) => {
      const { secret, expiresAt } = await issue(ctx, 'desktop', { userId, vmId, signIn });
      return { ticket: secret, expiresAt };
    },
    redeemDesktopTicket: (ticket, vmId) => redeemDesktopTicket(ctx, ticket, vmId),
    sweep: () => removeExpired(ctx),
  };
}

async function byToken({ db, known, adminHash }: UsersContext, token: string) {
  const hash = hashSecret(token);
  if (known.find(hash) === undefined) return undefined;
  const whose = sameHash(hash, adminHash) ? eq(users.name, 'admin') : eq(users.tokenHash, hash);
  const [row] = await db
    .select()
    .from(users)
    .where(and(whose, isNull(users.disabledAt)));
  return row && toUser(row);
}

async function createLoginToken(ctx: UsersContext, userId: string) {
  await getActive(ctx.db, userId);
  const { secret, expiresAt } = await issue(ctx, 'login', { userId });
  return { token: secret, expiresAt };
}

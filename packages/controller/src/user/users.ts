/** Implements the face in user.ts on the tables `users` and `tokens`. */
import { and, asc, eq, isNull } from 'drizzle-orm';
import type { Settings } from '@airlock/contract/settings';
import { system, type Audit } from '../audit/audit.js';
import { hashSecret, sameHash } from '../lib/secret.js';
import { users } from './table.js';
import type { Store } from '../store/store.js';
import { get, requireActive, type UsersContext } from './context.js';
import { createUser, ensureAdmin, toListed, toUser } from './create.js';
import { forget, keepOut, letIn } from './keep-out.js';
import { loadKnown } from './known.js';
import { issue, removeExpired } from './once.js';
import { rotateToken } from './rotate.js';
import { accountOf, byCookie, createLoginToken, findLive, login, ownerOf, redeemDesktopTicket } from './sign-in.js';
import { endSignIn, endSignIns, signIns } from './sign-ins.js';
import type { Users } from './user.js';

export interface UsersOptions {
  settings: Pick<Settings, 'AIRLOCK_PROXY_PORT_BASE'>;
  /** The content of $AIRLOCK_HOME/token. */
  adminToken: string;
  /** Replaces that file. */
  storeAdminToken(token: string): Promise<void>;
  audit: Pick<Audit, 'note'>;
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
    ...{ storeAdminToken: options.storeAdminToken, audit: options.audit },
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
    proxyPort: async (userId) => requireActive(await get(db, userId)).proxyPort,
    create: (name, by = system) => createUser(ctx, name, portBase, by),
    rotateToken: (userId, by = system) => rotateToken(ctx, userId, by),
    keepOut: (userId, how, by = system) => keepOut(ctx, userId, how, by),
    letIn: (userId, by = system) => letIn(ctx, userId, by),
    forget: (userId) => forget(ctx, userId),
    signIns: (userId) => signIns(ctx, userId),
    endSignIn: (userId, signIn, by = system) => endSignIn(ctx, userId, signIn, by),
    endSignIns: (userId, by = system) => endSignIns(ctx, userId, by),
    createLoginToken: (userId, by = { actor: system, madeWith: null }) => createLoginToken(ctx, userId, by),
    accountOf: (token) => accountOf(ctx, token),
    login: (token) => login(ctx, token),
    createDesktopTicket: async (userId, vmId, signIn, madeWith = null) => {
      const { secret, expiresAt } = await issue(ctx, 'desktop', { userId, vmId, signIn, madeWith });
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

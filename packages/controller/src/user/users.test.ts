import { eq } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { tokens } from './table.js';
import { createAudit } from '../audit/audit.js';
import { openEmbeddedTestStore, type TestStore } from '../store/testing.js';
import type { Users } from './user.js';
import { createUsers } from './users.js';

const adminToken = 'a'.repeat(43);
let database: TestStore;
let now: Date;
let users: Users;
/** What the file of the admin's token got. */
const stored: string[] = [];
let onStored: (token: string) => void = () => undefined;

const open = () =>
  createUsers(database.store, {
    settings: { AIRLOCK_PROXY_PORT_BASE: 10001 },
    adminToken,
    storeAdminToken: async (token) => {
      stored.push(token);
      onStored(token);
    },
    audit: createAudit(database.store),
    now: () => now,
  });
const later = (ms: number): void => {
  now = new Date(now.getTime() + ms);
};
const adminId = async (): Promise<string> => (await users.byToken(adminToken))?.id ?? '';

beforeAll(async () => {
  database = await openEmbeddedTestStore();
}, 120_000);
afterAll(() => database.close(), 30_000);
beforeEach(async () => {
  await database.empty();
  now = new Date('2030-01-01T00:00:00Z');
  users = await open();
});

test('the admin exists from the first start, once, with the first port', async () => {
  await open();
  expect(await users.list()).toMatchObject([{ name: 'admin', role: 'admin', proxyPort: 10001 }]);
  expect(await users.byToken(adminToken)).toMatchObject({ name: 'admin' });
  expect(await users.byToken('b'.repeat(43))).toBeUndefined();
});

test('users get ports one after the other, also when many are made at once', async () => {
  const made = await Promise.all(Array.from({ length: 20 }, (_, i) => users.create(`user${i}`)));
  const ports = made.map(({ user }) => user.proxyPort).sort();
  expect(ports).toEqual(Array.from({ length: 20 }, (_, i) => 10002 + i));
  for (const { user, token } of made) expect(await users.byToken(token)).toEqual(user);
});

test('a name is taken once', async () => {
  await users.create('ada');
  await expect(users.create('ada')).rejects.toMatchObject({ code: 'user_exists' });
  await expect(users.create('admin')).rejects.toMatchObject({ code: 'user_exists' });
});

test('a login token is good once and for ten minutes', async () => {
  const { token, expiresAt } = await users.createLoginToken(await adminId());
  expect(expiresAt.getTime() - now.getTime()).toBe(600_000);
  const attempts = await Promise.allSettled([users.login(token), users.login(token), users.login(token)]);
  expect(attempts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  await expect(users.login(token)).rejects.toMatchObject({ code: 'login_token_invalid' });
  const late = await users.createLoginToken(await adminId());
  later(600_000);
  await expect(users.login(late.token)).rejects.toMatchObject({ code: 'login_token_invalid' });
  await expect(users.createLoginToken('usr_nobody')).rejects.toMatchObject({ code: 'not_found' });
});

const signIn = async (userId?: string) =>
  users.login((await users.createLoginToken(userId ?? (await adminId()))).token);
type Secrets = Pick<Awaited<ReturnType<typeof signIn>>, 'cookie' | 'page'>;
const byCookie = ({ cookie, page }: Secrets) => users.byCookie(cookie, page);

test('a login token tells whose it is without being used up', async () => {
  const { token, expiresAt } = await users.createLoginToken(await adminId());
  for (let i = 0; i < 3; i++)
    expect(await users.accountOf(token)).toMatchObject({ user: { name: 'admin' }, expiresAt });
  await users.login(token);
  await expect(users.accountOf(token)).rejects.toMatchObject({ code: 'login_token_invalid' });
});

test('a cookie is good with its own page secret only, until its sign-in ends', async () => {
  const [one, other] = [await signIn(), await signIn()];
  const { signIn: id, user, expiresAt } = one;
  const isGood = async () => {
    expect(await byCookie(one)).toEqual({ user, signIn: { id, expiresAt } });
    for (const page of [other.page, one.cookie, '', 'x'.repeat(43)]) {
      expect(await byCookie({ ...one, page })).toBeUndefined();
      expect(users.ownerOf(one.cookie, page)).toBeUndefined();
    }
    expect(users.ownerOf(one.cookie)).toBeUndefined();
    expect(users.ownerOf(one.cookie, one.page)).toBe(user.id);
    expect(await byCookie({ cookie: one.page, page: one.page })).toBeUndefined();
    expect(await users.holderOf(one.cookie)).toEqual(user);
  };
  await isGood();
  users = await open();
  await isGood();
  await users.endSignIn(user.id, id);
  expect(await byCookie(one)).toBeUndefined();
  expect(await users.holderOf(one.cookie)).toBeUndefined();
  expect(await byCookie(other)).toMatchObject({ signIn: { id: other.signIn } });
});

test('a sign-in ends after twelve hours, however much it is used', async () => {
  const made = await signIn();
  const { expiresAt } = made;
  expect(expiresAt.getTime() - now.getTime()).toBe(12 * 3_600_000);
  for (let i = 0; i < 12; i++) {
    expect(await byCookie(made)).toMatchObject({ signIn: { expiresAt } });
    later(3_600_000 - 1);
    expect(await byCookie(made)).toMatchObject({ signIn: { expiresAt } });
    later(1);
  }
  expect(now).toEqual(expiresAt);
  expect(await byCookie(made)).toBeUndefined();
  expect(await users.holderOf(made.cookie)).toBeUndefined();
});

test('a desktop ticket is good once, for its VM, for 30 seconds', async () => {
  const userId = await adminId();
  const ticket = async () => (await users.createDesktopTicket(userId, 'vm_a', null)).ticket;
  const used = await ticket();
  expect(await users.redeemDesktopTicket(used, 'vm_a')).toMatchObject({ user: { id: userId }, signIn: null });
  await expect(users.redeemDesktopTicket(used, 'vm_a')).rejects.toMatchObject({ code: 'ticket_invalid' });
  await expect(users.redeemDesktopTicket(await ticket(), 'vm_b')).rejects.toMatchObject({ code: 'ticket_invalid' });
  const late = await ticket();
  later(30_000);
  await expect(users.redeemDesktopTicket(late, 'vm_a')).rejects.toMatchObject({ code: 'ticket_invalid' });
});

test('a desktop ticket ends with the sign-in that asked for it', async () => {
  const made = await signIn();
  const { signIn: id, expiresAt, user } = made;
  const ticket = async () => (await users.createDesktopTicket(user.id, 'vm_a', id)).ticket;
  expect(await users.redeemDesktopTicket(await ticket(), 'vm_a')).toEqual({ user, signIn: { id, expiresAt } });
  const left = await ticket();
  await users.endSignIn(user.id, id);
  expect(users.ownerOf(left)).toBeUndefined();
  for (const late of [left, await ticket()]) {
    await expect(users.redeemDesktopTicket(late, 'vm_a')).rejects.toMatchObject({ code: 'ticket_invalid' });
  }
});

test('a secret of one kind is nothing to another, and none is stored', async () => {
  const userId = await adminId();
  const { token } = await users.createLoginToken(userId);
  const { ticket } = await users.createDesktopTicket(userId, 'vm_a', null);
  const { cookie, page } = await signIn();
  expect(await users.byCookie(token, token)).toBeUndefined();
  for (const secret of [cookie, page]) {
    await expect(users.login(secret)).rejects.toMatchObject({ code: 'login_token_invalid' });
    expect(await users.byToken(secret)).toBeUndefined();
  }
  await expect(users.login(ticket)).rejects.toMatchObject({ code: 'login_token_invalid' });
  await expect(users.redeemDesktopTicket(token, 'vm_a')).rejects.toMatchObject({ code: 'ticket_invalid' });
  const rows = JSON.stringify([await database.store.db.select().from(tokens), await users.list()]);
  for (const secret of [token, ticket, cookie, page, adminToken]) expect(rows).not.toContain(secret);
});

test('a wrong secret of any kind costs no query, and a right one is known again after a restart', async () => {
  const userId = await adminId();
  const made = await users.create('ada');
  const links = [await users.createLoginToken(made.user.id), await users.createLoginToken(made.user.id)] as const;
  const { cookie, page } = await users.login(links[0].token);
  const { ticket } = await users.createDesktopTicket(made.user.id, 'vm_a', null);
  const pool = database.store.db.$client;
  let queries = 0;
  const count = (): void => void queries++;
  pool.on('acquire', count);
  const used = [links[0].token, 'x'.repeat(43), ''];
  for (const secret of used) {
    expect([users.ownerOf(secret), await users.byToken(secret), await users.byCookie(secret, page)]).toEqual(Array(3));
    await expect(users.login(secret)).rejects.toMatchObject({ code: 'login_token_invalid' });
    await expect(users.redeemDesktopTicket(secret, 'vm_a')).rejects.toMatchObject({ code: 'ticket_invalid' });
  }
  // Nor does a stolen cookie.
  expect([users.ownerOf(cookie), await users.byCookie(cookie, 'x'.repeat(43))]).toEqual(Array(2));
  expect(queries).toBe(0);
  pool.off('acquire', count);
  users = await open();
  const owners = () => [adminToken, made.token, cookie, links[1].token, ticket].map((one) => users.ownerOf(one, page));
  expect(owners()).toEqual([userId, ...Array<string>(4).fill(made.user.id)]);
  await users.endSignIns(made.user.id);
  expect(users.ownerOf(cookie, page)).toBeUndefined();
  later(12 * 3_600_000);
  expect(owners()).toEqual([userId, made.user.id, ...Array<undefined>(3)]);
  await users.rotateToken(made.user.id);
  expect(users.ownerOf(made.token)).toBeUndefined();
});

test('the sweep removes what has expired and nothing else', async () => {
  const userId = await adminId();
  await users.createDesktopTicket(userId, 'vm_a', null);
  const { token } = await users.createLoginToken(userId);
  later(60_000);
  await users.sweep();
  const left = await database.store.db.select().from(tokens).where(eq(tokens.userId, userId));
  expect(left.map(({ kind }) => kind)).toEqual(['login']);
  await users.login(token);
});

describe('a user who is kept out', () => {
  test.each(['disabled', 'removing'] as const)('%s: no secret of theirs is good, old or new', async (how) => {
    const { user, token } = await users.create('ada');
    const bob = await users.create('bob');
    const [cookie, bobs] = [await signIn(user.id), await signIn(bob.user.id)];
    const link = await users.createLoginToken(user.id);
    const { ticket } = await users.createDesktopTicket(user.id, 'vm_a', null);
    await users.keepOut(user.id, how);
    expect(await users.byToken(token)).toBeUndefined();
    expect(await byCookie(cookie)).toBeUndefined();
    await expect(users.login(link.token)).rejects.toMatchObject({ code: 'login_token_invalid' });
    await expect(users.redeemDesktopTicket(ticket, 'vm_a')).rejects.toMatchObject({ code: 'ticket_invalid' });
    await expect(users.createLoginToken(user.id)).rejects.toMatchObject({ code: 'user_disabled' });
    await expect(users.proxyPort(user.id)).rejects.toMatchObject({ code: 'user_disabled' });
    expect(await users.byToken(bob.token)).toEqual(bob.user);
    expect(await byCookie(bobs)).toMatchObject({ user: bob.user });
  });

  test('comes back by the token alone, and one who is being removed never', async () => {
    const { user, token } = await users.create('ada');
    const cookie = await signIn(user.id);
    await users.keepOut(user.id, 'disabled');
    await users.letIn(user.id);
    expect(await users.byToken(token)).toEqual(user);
    expect(await byCookie(cookie)).toBeUndefined();
    await users.forget(user.id);
    expect(await users.get(user.id)).toMatchObject({ state: 'active' });
    await users.keepOut(user.id, 'removing');
    await users.keepOut(user.id, 'disabled');
    await expect(users.letIn(user.id)).rejects.toMatchObject({ code: 'user_disabled' });
    await users.forget(user.id);
    await expect(users.get(user.id)).rejects.toMatchObject({ code: 'not_found' });
    expect((await users.create('ada')).user.id).not.toBe(user.id);
  });

  test('is never the only administrator', async () => {
    for (const how of ['disabled', 'removing'] as const) {
      await expect(users.keepOut(await adminId(), how)).rejects.toMatchObject({ code: 'last_admin' });
    }
    expect(await users.byToken(adminToken)).toMatchObject({ name: 'admin' });
  });
});

describe('a token that is rotated', () => {
  test('is worth nothing any more, nor is a link that was made with it', async () => {
    const { user, token } = await users.create('ada');
    const link = await users.createLoginToken(user.id);
    const next = await users.rotateToken(user.id);
    expect(await users.byToken(token)).toBeUndefined();
    expect(await users.byToken(next)).toEqual(user);
    await expect(users.login(link.token)).rejects.toMatchObject({ code: 'login_token_invalid' });
  });

  test('of the admin, is in the file before it is good; of many at once the one in the file is good', async () => {
    stored.length = 0;
    const tokens_ = await Promise.all(Array.from({ length: 5 }, async () => users.rotateToken(await adminId())));
    expect(stored).toEqual(tokens_);
    const good = await Promise.all(
      [adminToken, ...tokens_].map(async (one) => (await users.byToken(one)) !== undefined),
    );
    expect(good).toEqual([false, false, false, false, false, true]);
  });
});

test('the new token of the admin is good as soon as a script can read it from its file', async () => {
  const read = new Promise<boolean>((resolve) => {
    onStored = (token) => setImmediate(() => void users.byToken(token).then((user) => resolve(user !== undefined)));
  });
  await users.rotateToken(await adminId());
  onStored = () => undefined;
  expect(await read).toBe(true);
});

describe('sign-ins', () => {
  test('are told with their times, the last use to the minute', async () => {
    const { user } = await users.create('ada');
    const { token } = await users.createLoginToken(user.id);
    const secrets = await users.login(token);
    const { cookie, expiresAt } = secrets;
    const made = now;
    const [fresh] = await users.signIns(user.id);
    expect(fresh).toMatchObject({
      createdAt: made.toISOString(),
      lastUsedAt: null,
      expiresAt: expiresAt.toISOString(),
    });
    const usedAt = async (ms: number) => {
      later(ms);
      await byCookie(secrets);
      return (await users.signIns(user.id))[0]?.lastUsedAt;
    };
    const first = await usedAt(1_000);
    expect(first).toBe(now.toISOString());
    expect(await usedAt(59_000)).toBe(first);
    expect(await usedAt(2_000)).toBe(now.toISOString());
    expect(JSON.stringify(await users.signIns(user.id))).not.toContain(cookie);
  });

  test('end one by one, or all at once with every link, and of this user alone', async () => {
    const [ada, bob] = [(await users.create('ada')).user, (await users.create('bob')).user];
    const cookies = [await signIn(ada.id), await signIn(ada.id), await signIn(ada.id)];
    const bobs = await signIn(bob.id);
    const [newest] = await users.signIns(ada.id);
    await expect(users.endSignIn(bob.id, newest?.id ?? '')).rejects.toMatchObject({ code: 'not_found' });
    await users.endSignIn(ada.id, newest?.id ?? '');
    expect(await users.signIns(ada.id)).toHaveLength(2);
    const link = await users.createLoginToken(ada.id);
    expect(await users.endSignIns(ada.id)).toBe(2);
    for (const cookie of cookies) expect(await byCookie(cookie)).toBeUndefined();
    await expect(users.login(link.token)).rejects.toMatchObject({ code: 'login_token_invalid' });
    expect(await byCookie(bobs)).toMatchObject({ user: bob });
  });
});

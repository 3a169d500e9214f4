/** Revocation on real rows: users, VMs and the vault, with runners that a test plays. http/revocation.test.ts has what is open. */
import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { AppError } from '@airlock/contract/errors';
import { createAudit, system } from '../audit/audit.js';
import { airlock } from '../store/schema.js';
import { silentLog } from '../store/testing.js';
import { createUsers } from '../user/users.js';
import type { Users } from '../user/user.js';
import { newVaultKey } from '../vault/key.js';
import { createKeyRing } from '../vault/ring.js';
import { bundleOf, testVault } from '../vault/testing.js';
import type { Vault } from '../vault/vault.js';
import { createVms } from '../vm/create.js';
import { useVms } from '../vm/testing.js';
import type { Vms } from '../vm/vm.js';
import { createConnections } from './connections.js';
import { createRevocation } from './create.js';
import type { Revocation } from './revocation.js';

const host = useVms();
const by = { actor: system };
const never = new AbortController().signal;
const ring = createKeyRing([newVaultKey()], async () => undefined);

let users: Users;
let vms: Vms;
let vault: Vault;
let revocation: Revocation;
/** What sessions were told, for the user. */
let cancelled: string[];

/** A controller that begins, over whatever rows there are. */
function open(): void {
  const { store } = host.database;
  vault = testVault(store, ring);
  const guard = { starting: done, ready: done, proved: done, ending: done };
  vms = createVms({ ...host.deps, proxyPort: users.proxyPort, homeKeys: vault }, guard);
  revocation = createRevocation({
    ...{ users, vms, vault, connections: createConnections(), log: silentLog, sweepMs: 20 },
    sessions: { cancelAll: async (userId) => void cancelled.push(userId), forget: done },
  });
}

async function close(): Promise<void> {
  await revocation.close();
  await vms.close();
}

const done = async (): Promise<void> => undefined;

beforeEach(async () => {
  // Ours look at the same rows.
  await host.vms.close();
  const settings = { AIRLOCK_PROXY_PORT_BASE: 10001 };
  cancelled = [];
  const audit = createAudit(host.database.store);
  users = await createUsers(host.database.store, {
    settings,
    audit,
    adminToken: 'A'.repeat(43),
    storeAdminToken: done,
  });
  open();
});
afterEach(close);

const makeCli = (): ReturnType<Vms['ensureCli']> => vms.ensureCli(host.userId, null, () => undefined, never);

/** Whatever a table still has of the user, or of all where it knows no users. */
async function left(table: string, column = 'user_id'): Promise<number> {
  const where = column === '' ? sql`true` : sql`${sql.identifier(column)} = ${host.userId}`;
  const text = sql`select 1 from ${airlock}.${sql.identifier(table)} where ${where}`;
  return (await host.database.store.db.execute(text)).rows.length;
}

async function leftovers(): Promise<Record<string, number>> {
  const counts = { users: left('users', 'id'), vms: left('vms'), credentials: left('credentials') };
  const more = { custody: left('custody'), tokens: left('tokens'), home_keys: left('home_keys', '') };
  const entries = Object.entries({ ...counts, ...more }).map(async ([name, count]) => [name, await count] as const);
  return Object.fromEntries(await Promise.all(entries));
}

const nothing = { users: 0, vms: 0, credentials: 0, custody: 0, tokens: 0, home_keys: 0 };

async function signIn(): Promise<void> {
  const owner = { userId: host.userId, provider: 'codex', sessionId: null } as const;
  const { lineage } = await vault.stage(owner, bundleOf('one'));
  await vault.commit(host.userId, 'codex', lineage);
}

describe('a user who is disabled', () => {
  test('has no VM running, and nobody starts one; the disks stay', async () => {
    const cli = await makeCli();
    const browser = await vms.createBrowser({ userId: host.userId, sessionId: null, destroyAt: null });
    await vms.waitReady(browser.id, () => undefined, never);
    await revocation.disable(host.userId, by);
    expect(cancelled).toEqual([host.userId]);
    expect([...host.engine.running]).toEqual([]);
    expect(await vms.get(cli.id)).toMatchObject({ state: 'stopped' });
    expect(await vms.get(browser.id)).toMatchObject({ state: 'destroyed' });
    const refused = { code: 'user_disabled' };
    await expect(vms.start(cli.id)).rejects.toMatchObject(refused);
    await expect(makeCli()).rejects.toMatchObject(refused);
    const late = await vms.createBrowser({ userId: host.userId, sessionId: null, destroyAt: null });
    await vi.waitFor(async () => expect(await vms.get(late.id)).toMatchObject({ state: 'failed', error: refused }));
    await revocation.enable(host.userId, by);
    expect(await makeCli()).toMatchObject({ id: cli.id, state: 'running' });
  });

  test('is kept out although a VM does not end; the sweep ends it', async () => {
    await makeCli();
    host.engine.stopError = new AppError('internal', 'It does not end.');
    await expect(revocation.disable(host.userId, by)).rejects.toThrow('It does not end.');
    expect(await users.get(host.userId)).toMatchObject({ state: 'disabled' });
    host.engine.stopError = undefined;
    revocation.resume();
    await vi.waitFor(() => expect([...host.engine.running]).toEqual([]), 5_000);
  });
});

describe('a user who is removed', () => {
  test('leaves no row, key or VM, but what was done to them in the audit', async () => {
    await makeCli();
    await signIn();
    await users.login((await users.createLoginToken(host.userId)).token);
    await revocation.remove(host.userId, by);
    expect(await leftovers()).toEqual(nothing);
    expect([...host.engine.running]).toEqual([]);
    const [noted] = await createAudit(host.database.store).list({ userId: host.userId, limit: 10 });
    expect(noted).toMatchObject({ action: 'user_removed', subject: 'ada', actorName: 'airlock' });
  });

  test('whose removal broke off is kept out, and the next controller removes the rest', async () => {
    await makeCli();
    await signIn();
    host.engine.stopError = new AppError('internal', 'It does not end.');
    await expect(revocation.remove(host.userId, by)).rejects.toThrow('It does not end.');
    expect(await users.get(host.userId)).toMatchObject({ state: 'removing' });
    expect(await leftovers()).toMatchObject({ users: 1, vms: 1, credentials: 0, custody: 0 });
    await expect(revocation.enable(host.userId, by)).rejects.toMatchObject({ code: 'user_disabled' });
    await close();
    host.engine.stopError = undefined;
    open();
    revocation.resume();
    await vi.waitFor(async () => expect(await leftovers()).toEqual(nothing), 5_000);
  });
});

test('nobody waits for the VM of another that does not end', async () => {
  const { user } = await users.create('bob');
  await vms.ensureCli(user.id, null, () => undefined, never);
  const cli = await makeCli();
  let letGo = (): void => undefined;
  const stuck = new Promise<void>((resolve) => (letGo = resolve));
  host.engine.stopGate = async (vmId) => (vmId === cli.id ? stuck : undefined);
  await users.keepOut(host.userId, 'removing');
  revocation.resume();
  await vi.waitFor(() => expect(cancelled).toContain(host.userId));
  await users.keepOut(user.id, 'removing');
  await vi.waitFor(async () => expect((await users.list()).map(({ name }) => name)).toEqual(['ada', 'admin']), 5_000);
  letGo();
  await vi.waitFor(async () => expect((await users.list()).map(({ name }) => name)).toEqual(['admin']), 5_000);
});

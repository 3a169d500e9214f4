/**
 * Guests that hang, among others that do not: whatever one of them does delays nobody but itself, and has an end. Real rows, vault,
 * custodian, VMs and sessions, and the engine of this host; played are the runners, and what is behind them.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq } from 'drizzle-orm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { CredentialSummary } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import { newId } from '@airlock/contract/ids';
import { readSettings } from '@airlock/contract/settings';
import { createAudit, system } from './audit/audit.js';
import { createCustodian } from './credential/create.js';
import type { Custodian } from './credential/custodian.js';
import { createCredentialGuard } from './credential/guard.js';
import { openTestEngine } from './engine/testing.js';
import { playRunner, type Manner, type PlayedRunner } from './engine/testing/runner.js';
import { createSessions } from './session/create.js';
import { createSessionRows, type SessionRow, type SessionRows } from './session/rows.js';
import type { Sessions } from './session/session.js';
import { authSessions } from './session/table.js';
import { addUser, openEmbeddedTestStore, silentLog, type TestStore } from './store/testing.js';
import { bundleOf, testVault } from './vault/testing.js';
import { newVaultKey } from './vault/key.js';
import { createKeyRing } from './vault/ring.js';
import type { Vault } from './vault/vault.js';
import { createVms } from './vm/create.js';
import { vms as vmTable } from './vm/table.js';
import type { Vms } from './vm/vm.js';

/** Longer than any test: where it is the time of a look, only what has no guest to wait for goes on. */
const forever = 600_000;

/** Enough for a good guest on a busy host. */
const patience = 4000;

interface Owner {
  userId: string;
  vmId: string;
  runner: PlayedRunner;
}

let store: TestStore;
let vault: Vault;
let home: string;
let vms: Vms;
let custodian: Custodian;
let sessions: Sessions;
let runners: PlayedRunner[];

beforeAll(async () => {
  store = await openEmbeddedTestStore();
}, 120_000);
afterAll(() => store.close(), 30_000);
beforeEach(async () => {
  await store.empty();
  vault = testVault(
    store.store,
    createKeyRing([newVaultKey()], async () => undefined),
  );
  home = await mkdtemp(join(tmpdir(), 'airlock-g-'));
  runners = [];
});
afterEach(async () => {
  await sessions.close();
  await custodian.close();
  await vms.close();
  await Promise.all(runners.map((runner) => runner.close()));
  await rm(home, { recursive: true });
}, 30_000);

/** A controller that finds the rows and runners that are there. `lookMs`: how long a look into a VM may take. */
async function start(lookMs: number): Promise<void> {
  const settings = { ...readSettings({ AIRLOCK_HOME: home }), AIRLOCK_CREDENTIAL_POLL_S: 0.01 };
  const shared = { store: store.store, vault, settings, log: silentLog };
  const guard = createCredentialGuard({ ...shared, lookMs });
  const noImage = async (): Promise<never> => {
    throw new AppError('image_missing', 'There is no image in this test.');
  };
  const images = { current: noImage, get: noImage, manifest: noImage, currentId: async () => null, close: noImage };
  vms = createVms(
    {
      ...{ ...shared, engine: openTestEngine(home), images, homeKeys: vault, sweepMs: 20 },
      ...{ proxyPort: async () => 10_001, signingIn: async () => new Set<string>() },
      host: {
        accel: 'tcg',
        accelReason: 'a test',
        drivers: [],
        countMs: { kvm: null, tcg: 310 },
        network: 'user',
        vmUsers: null,
        tscKhz: null,
      },
    },
    guard,
  );
  custodian = createCustodian({ ...shared, vms, guard });
  sessions = createSessions({
    ...shared,
    vms,
    pool: { take: async () => undefined },
    custodian,
    audit: createAudit(store.store),
    bootBoundMs: 480_000,
    pollMs: 5,
    sweepMs: 20,
  });
  await vms.reconcile();
  await custodian.resume();
  await sessions.resume();
}

async function addVm(
  kind: 'browser' | 'cli',
  userId: string,
  manner: (call: string, nth: number) => Manner,
): Promise<Owner> {
  const vmId = newId('vm');
  await store.store.db.insert(vmTable).values({
    ...{ id: vmId, userId, kind, state: 'running', imageId: 'img_000000', accel: 'tcg', epoch: 1 },
    ...{ timings: { vncMs: null, agentMs: null, readyMs: null }, rootNumber: kind === 'cli' ? 1 : 0 },
  });
  if (kind === 'cli') await vault.sealHomeKey(vmId);
  const held = { provider: 'codex', complete: true, fingerprint: 'as-ever', generation: 1 };
  const login = { provider: 'codex', state: 'browser_opened', pageHost: null, method: 'browser', exitCode: null };
  const answer = (call: string): unknown =>
    call === 'GET /credentials'
      ? { credentials: [held] }
      : { ...login, deviceCode: null, takesCode: false, lastOutput: '' };
  const runner = await playRunner(home, { vmId, manner, answer });
  runners.push(runner);
  return { userId, vmId, runner };
}

let ports = 10_001;
/** Somebody whose CLI VM runs and holds a login that the vault knows. */
async function addOwner(manner: Manner): Promise<Owner> {
  const userId = newId('usr');
  await addUser(store.store.db, userId, userId.slice(4), ports++);
  const owner = await addVm('cli', userId, () => manner);
  const { lineage } = await vault.stage({ userId, provider: 'codex', sessionId: newId('ses') }, bundleOf('one'));
  await vault.commit(userId, 'codex', lineage);
  const isThere = { deliveredAs: 1, deliveredGeneration: lineage, fingerprint: 'as-ever', confirmed: false };
  await vault.note({ userId, provider: 'codex' }, { holderVmId: owner.vmId, ...isThere });
  return owner;
}

const addOwners = (manners: readonly Manner[]): Promise<Owner[]> => Promise.all(manners.map(addOwner));
const state = async ({ vmId }: Owner): Promise<string | undefined> => (await vms.get(vmId))?.state;
const credential = async ({ userId }: Owner): Promise<CredentialSummary | undefined> =>
  (await custodian.list(userId))[0];
const looks = ({ runner }: Owner): number => runner.asked.length;
const tenGood = Array.from({ length: 10 }, (): Manner => 'good');

describe(
  'one that drips, one that never answers, and one that closes half way, among ten that are good',
  { timeout: 60_000 },
  () => {
    test('each good one is looked at ten times while the calls to the bad ones hang', async () => {
      const [drips, silent, half, ...good] = await addOwners(['drips', 'silent', 'half', ...tenGood]);
      await start(forever);
      await expect.poll(() => Math.min(...good.map(looks)), { timeout: 40_000 }).toBeGreaterThanOrEqual(10);
      for (const bad of [drips, silent]) {
        expect(bad?.runner.hanging()).toBe(1);
        expect(bad && looks(bad)).toBe(1);
      }
      expect(half && looks(half)).toBeGreaterThan(1);
    });

    test('their owners, and nobody else, are told why they were not read; a backup counts them', async () => {
      const bad = await addOwners(['drips', 'silent', 'half']);
      const good = await addOwners(['good', 'good']);
      await start(patience);
      await custodian.syncAll();
      expect(await custodian.unconfirmed()).toBe(3);
      const reasons = await Promise.all(bad.map(async (one) => (await credential(one))?.copyReason));
      expect(reasons[0]).toMatch(/^VM vm_\w+ could not be looked into within 4 s\.$/);
      expect(reasons[1]).toBe(reasons[0]?.replace(bad[0]?.vmId ?? '', bad[1]?.vmId ?? ''));
      expect(reasons[2]).toMatch(/^GET \/guest\/credentials: the runner of vm_\w+ broke off its answer/);
      for (const one of good) expect(await credential(one)).toMatchObject({ copy: 'in_use', copyReason: '' });
    });

    test('all of them stop when all are to, and who could not be read at the end says so', async () => {
      const bad = await addOwners(['drips', 'silent']);
      const good = await addOwners(['good', 'good']);
      await start(patience);
      await vms.stopAll();
      for (const one of [...bad, ...good]) {
        expect(await state(one)).toBe('stopped');
        expect(await one.runner.isUp()).toBe(false);
      }
      for (const one of good) expect(await credential(one)).toMatchObject({ copy: 'newest', copyReason: '' });
      for (const one of bad)
        expect(await credential(one)).toMatchObject({
          copy: 'unconfirmed',
          copyReason: expect.stringContaining('within 4 s') as string,
        });
    });
  },
);

test.each(['drips', 'silent'] as const)(
  'a VM whose guest %s is destroyed all the same, its runner killed, and its person told',
  async (manner) => {
    const [bad, good] = (await addOwners([manner, 'good'])) as [Owner, Owner];
    await start(patience);
    await vms.destroy(bad.vmId);
    expect([await state(bad), await bad.runner.isUp()]).toEqual(['destroyed', false]);
    expect(await credential(bad)).toMatchObject({
      copy: 'unconfirmed',
      copyReason: expect.stringContaining('within 4 s') as string,
    });
    expect([await state(good), await good.runner.isUp()]).toEqual(['running', true]);
    const before = looks(good);
    await expect.poll(() => looks(good), { timeout: 10_000 }).toBeGreaterThan(before + 10);
    expect(await credential(good)).toMatchObject({ copy: 'in_use', copyReason: '' });
  },
  60_000,
);

describe('a sign-in past its time ends, and its VM goes, while', { timeout: 30_000 }, () => {
  const rowsOfSessions = (): SessionRows =>
    createSessionRows(store.store.db, createAudit(store.store), {
      ...readSettings({ AIRLOCK_HOME: home }),
      bootBoundMs: 480_000,
    });

  /** A sign-in that waits for its person. */
  async function addSession({ userId, vmId }: Owner): Promise<SessionRow> {
    const rows = rowsOfSessions();
    const { id } = await rows.insert(userId, 'codex', system);
    await rows.apply(id, 'vm_created', { patch: { browserVmId: vmId } });
    await rows.apply(id, 'desktop_ready');
    const login = { method: 'browser', attempt: 0, started: true, deviceCode: null, takesCode: false } as const;
    return (await rows.apply(id, 'page_opened', { patch: { login } })) as SessionRow;
  }
  async function timeIsUp(id: string): Promise<void> {
    await store.store.db.update(authSessions).set({ deadlineAt: new Date() }).where(eq(authSessions.id, id));
  }
  const statusOf = async ({ userId, id }: SessionRow): Promise<string> => (await sessions.get(userId, id)).status;

  test.each(['drips', 'silent'] as const)('the VM in which the person signs in %s', async (manner) => {
    const userId = newId('usr');
    await addUser(store.store.db, userId, 'eve', ports++);
    const desktop = await addVm('browser', userId, () => manner);
    const session = await addSession(desktop);
    await start(forever);
    await expect.poll(() => desktop.runner.hanging()).toBe(1);
    await timeIsUp(session.id);
    await expect.poll(() => statusOf(session), { timeout: 5000 }).toBe('timeout');
    await expect.poll(() => state(desktop), { timeout: 15_000 }).toBe('destroyed');
    expect(await desktop.runner.isUp()).toBe(false);
  });

  test('the CLI VM hangs that its credential is given to', async () => {
    const userId = newId('usr');
    await addUser(store.store.db, userId, 'eve', ports++);
    const cli = await addVm('cli', userId, (_call, nth) => (nth === 1 ? 'good' : 'drips'));
    const desktop = await addVm('browser', userId, () => 'good');
    const session = await addSession(desktop);
    const rows = rowsOfSessions();
    await rows.apply(session.id, 'credential_received');
    await vault.stage({ userId, provider: 'codex', sessionId: session.id }, bundleOf('one'));
    await rows.apply(session.id, 'sealed');
    await start(forever);
    await expect.poll(() => cli.runner.hanging(), { timeout: 5000 }).toBe(1);
    await timeIsUp(session.id);
    await expect.poll(() => statusOf(session), { timeout: 5000 }).toBe('failed');
    await expect.poll(() => state(desktop), { timeout: 15_000 }).toBe('destroyed');
    expect(await vault.list(userId)).toEqual([]);
  });
});

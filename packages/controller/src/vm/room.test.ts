/** Room on the host: nobody is given what somebody else was promised. */
import { eq } from 'drizzle-orm';
import { beforeEach, describe, expect, test } from 'vitest';
import { cliDisksMib, needOf, type HostCapacity } from '@airlock/contract/capacity';
import { newId } from '@airlock/contract/ids';
import { addUser } from '../store/testing.js';
import { createContext } from './context.js';
import { takeRoomForRoot } from './room.js';
import { vms as table, type RootUpdate } from './table.js';
import { useVms } from './testing.js';
import type { CliGuard, VmRow } from './vm.js';

const host = useVms();
const each = needOf({ accel: 'tcg', memoryMib: 1 }).memoryMib;

/** A host that knows of no VM and has room for `vms` of them, and for a disk of `diskMib`. */
const roomFor = (vms: number, diskMib = 10_000): HostCapacity => ({
  memory: { totalMib: 100_000, availableMib: 512 + vms * each },
  disk: { path: '/', freeMib: 512 + diskMib },
  vms: [],
});
const none = { homeMib: 0, rootsMib: new Map<number, number>() };
const browser = () => host.vms.createBrowser({ userId: host.userId, sessionId: null, destroyAt: null });
const refused = { code: 'capacity_exhausted' };

test('of two starts at one moment for which there is room once, one is refused', async () => {
  host.engine.host = roomFor(1);
  host.engine.startGate = new Promise(() => undefined);
  const results = await Promise.allSettled([browser(), browser(), browser()]);
  expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected']);
  for (const result of results) if (result.status === 'rejected') expect(result.reason).toMatchObject(refused);
  expect(await host.vms.list(null)).toHaveLength(1);
});

describe('browser VMs of a user', () => {
  const quota = { code: 'quota_exceeded', details: { quota: 'vms', limit: 8 } };
  const make = (userId: string, destroyAt: Date | null) =>
    host.vms.createBrowser({ userId, sessionId: null, destroyAt });

  test('are so many at a time, also when all are made at one moment; the next is told when one ends', async () => {
    const ben = newId('usr');
    await addUser(host.database.store.db, ben, 'ben', 10_002);
    const destroyAt = new Date(Date.now() + 600_000);
    const all = await Promise.allSettled(Array.from({ length: 20 }, () => make(host.userId, destroyAt)));
    const made = all.flatMap((one) => (one.status === 'fulfilled' ? [one.value.id] : []));
    expect(made).toHaveLength(8);
    await expect(make(host.userId, null)).rejects.toMatchObject({
      details: { ...quota.details, retryAt: destroyAt.toISOString() },
    });
    await expect(host.vms.requireCapacity(host.userId, { browser: true })).rejects.toMatchObject(quota);
    // The CLI VM is none of them, and others have theirs.
    await expect(host.vms.requireCapacity(host.userId, { browser: false })).resolves.toBeUndefined();
    await expect(make(ben, null)).resolves.toMatchObject({ userId: ben });
    await host.vms.destroy(made[0] ?? '');
    await expect(make(host.userId, null)).resolves.toMatchObject({ kind: 'browser' });
  });
});

test('a VM that was given up leaves its room to the next one', async () => {
  host.engine.host = roomFor(1);
  const { id } = await browser();
  await host.vms.destroy(id);
  await expect(browser()).resolves.toMatchObject({ kind: 'browser' });
});

test('a sign-in needs room for both of its VMs, and for a disk, before anything is made', async () => {
  host.engine.host = roomFor(1);
  await expect(host.vms.requireCapacity(host.userId, { browser: true })).rejects.toMatchObject(refused);
  await expect(host.vms.requireCapacity(host.userId, { browser: false })).resolves.toBeUndefined();
  host.engine.host = roomFor(2, 0);
  await expect(host.vms.requireCapacity(host.userId, { browser: true })).rejects.toMatchObject({ code: 'disk_full' });
  host.engine.host = roomFor(2);
  await expect(host.vms.requireCapacity(host.userId, { browser: true })).resolves.toBeUndefined();
});

test('a CLI VM that stands still is not started where there is no room, and keeps what it has', async () => {
  host.engine.host = roomFor(1);
  const never = new AbortController().signal;
  const ensure = () => host.vms.ensureCli(host.userId, null, () => undefined, never);
  const { id } = await ensure();
  await host.vms.stopAll();
  host.engine.host = roomFor(0);
  await expect(ensure()).rejects.toMatchObject(refused);
  expect(await host.vms.get(id)).toMatchObject({ state: 'stopped', epoch: 1 });
  host.engine.host = roomFor(1);
  expect(await ensure()).toMatchObject({ id, state: 'running' });
});

describe('of two sign-ins that begin at one moment', () => {
  const ben = newId('usr');
  const never = new AbortController().signal;
  const signIn = (userId: string) =>
    host.vms.createBrowser({ userId, sessionId: newId('ses'), destroyAt: null }).then(({ id }) => id);
  const cliOf = (userId: string) => host.vms.ensureCli(userId, null, () => undefined, never);
  beforeEach(async () => {
    await addUser(host.database.store.db, ben, 'ben', 10_002);
    for (const userId of [host.userId, ben]) {
      await host.vms.requireCapacity(userId, { browser: true });
      host.signingIn.add(userId);
    }
    host.engine.startGate = new Promise(() => undefined);
  });

  test.each([2, 3])('with room for %i VMs, one gets both of its VMs, and the other none', async (vms) => {
    host.engine.host = roomFor(vms);
    const [ada, other] = await Promise.allSettled([signIn(host.userId), signIn(ben)]);
    expect(ada).toMatchObject({ status: 'fulfilled' });
    expect(other).toMatchObject({ status: 'rejected', reason: refused });
    void cliOf(host.userId).catch(() => undefined);
    await expect.poll(async () => (await host.vms.cliOf(host.userId))?.state).toBe('starting');
  });

  test('with room for four VMs, both get theirs, and what is kept for one is not given to anybody else', async () => {
    host.engine.host = roomFor(4);
    await Promise.all([signIn(host.userId), signIn(ben)]);
    await expect(browser()).rejects.toMatchObject(refused);
    for (const userId of [host.userId, ben]) {
      void cliOf(userId).catch(() => undefined);
      await expect.poll(async () => (await host.vms.cliOf(userId))?.state).toBe('starting');
    }
  });

  test('room that was kept for one is free again once it has ended', async () => {
    host.engine.host = roomFor(2);
    const id = await signIn(host.userId);
    host.signingIn.delete(host.userId);
    host.engine.host = roomFor(3);
    await expect(signIn(ben)).resolves.not.toBe(id);
  });
});

test.each([
  ['stopping', () => host.vms.stopAll()],
  ['destroying', (id: string) => host.vms.destroy(id)],
] as const)('a CLI VM that is %s is not asked room for beside its own', async (state, end) => {
  const { id } = await host.vms.ensureCli(host.userId, null, () => undefined, new AbortController().signal);
  let letGo = (): void => undefined;
  const gate = new Promise<void>((resolve) => (letGo = resolve));
  host.engine.stopGate = () => gate;
  const ended = end(id);
  await expect.poll(async () => (await host.vms.get(id))?.state).toBe(state);
  const own = { memoryMib: each, diskMib: cliDisksMib(4, 1) };
  const taken = { memoryMib: 100, diskMib: 0 };
  const full = roomFor(0, own.diskMib);
  full.memory.availableMib += each - taken.memoryMib;
  host.engine.host = { ...full, vms: [{ vmId: id, promised: own, taken, disks: none }] };
  await expect(host.vms.requireCapacity(host.userId, { browser: false })).resolves.toBeUndefined();
  await expect(host.vms.requireCapacity(host.userId, { browser: true })).rejects.toMatchObject(refused);
  // What was left of it runs no more.
  host.engine.host = roomFor(0, 0);
  await expect(host.vms.requireCapacity(host.userId, { browser: false })).rejects.toMatchObject(refused);
  letGo();
  await ended;
});

describe('a CLI VM that stands still', () => {
  const never = new AbortController().signal;
  const rootMib = 2048;
  const to = { number: 2, imageId: 'img_000000' };
  const copying: RootUpdate = {
    ...{ kind: 'update', state: 'copying', now: false, run: false, broken: 0, since: 1, error: null },
    ...{ from: null, to },
  };
  let row: VmRow;
  /** The disks that the VM has, MiB; all of it is taken. */
  const holds = (homeMib: number, roots: [number, number][]): HostCapacity['vms'] => {
    const diskMib = homeMib + roots.reduce((sum, [, size]) => sum + size, 0);
    const amounts = { memoryMib: 0, diskMib };
    return [{ vmId: row.id, promised: amounts, taken: amounts, disks: { homeMib, rootsMib: new Map(roots) } }];
  };
  const setUpdate = (rootUpdate: RootUpdate | null) =>
    host.database.store.db.update(table).set({ rootUpdate }).where(eq(table.id, row.id));

  beforeEach(async () => {
    host.rootBytes = rootMib * 1024 * 1024;
    row = await host.vms.ensureCli(host.userId, null, () => undefined, never);
    await host.vms.stopAll();
  });

  test('gets another root where there is room for it beside all that the VM has', async () => {
    const ctx = createContext(host.deps, {} as CliGuard, never);
    const { manifest } = await host.deps.images.current();
    const take = () => takeRoomForRoot(ctx, row, manifest, async () => 'taken');
    host.engine.host = { ...roomFor(0, rootMib), vms: holds(4096, [[1, rootMib]]) };
    expect(await take()).toBe('taken');
    host.engine.host = { ...roomFor(0, rootMib - 1024), vms: holds(4096, [[1, rootMib]]) };
    await expect(take()).rejects.toMatchObject({
      code: 'disk_full',
      message: `Another root for the CLI VM ${row.id} needs 2.0 GiB on this host; 1.0 GiB are free and not promised to other VMs.`,
    });
  });

  test('is promised the room of a root while that is copied', async () => {
    await setUpdate(copying);
    const vms = holds(4096, [
      [1, rootMib],
      [to.number, 300],
    ]);
    const cliMib = cliDisksMib(4, rootMib);
    const newCli = () => host.vms.requireCapacity(newId('usr'), { browser: false });
    host.engine.host = { ...roomFor(1, cliMib + rootMib - 300), vms };
    await expect(newCli()).resolves.toBeUndefined();
    host.engine.host = { ...roomFor(1, cliMib + rootMib - 301), vms };
    await expect(newCli()).rejects.toMatchObject({ code: 'disk_full' });
    await setUpdate(null);
    await expect(newCli()).resolves.toBeUndefined();
  });

  test.each([
    ['gets a larger home', 4096, 6 * 1024, true],
    ['keeps its home where there is no room for a larger one', 4096, 6 * 1024 - 1, false],
    ['gets no smaller home', 20 * 1024, 50_000, false],
    ['gets no home in the place of one that is gone', 0, 50_000, false],
  ])('%s when it starts', async (_what, homeMib, freeMib, grows) => {
    await host.restart({ AIRLOCK_HOME_DISK_GIB: '10' });
    host.engine.host = { ...roomFor(1, freeMib), vms: holds(homeMib, [[1, rootMib]]) };
    await host.vms.start(row.id);
    await expect.poll(() => host.vms.get(row.id)).toMatchObject({ state: 'running', error: null });
    const grown = host.engine.steps.filter((one) => one.startsWith('grow'));
    expect(grown).toEqual(grows ? [`grow 10 ${row.id}`] : []);
  });
});

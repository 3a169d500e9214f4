/** Room on the host: nobody is given what somebody else was promised. */
import { beforeEach, describe, expect, test } from 'vitest';
import { needOf, type HostCapacity } from '@airlock/contract/capacity';
import { newId } from '@airlock/contract/ids';
import { addUser } from '../store/testing.js';
import { useVms } from './testing.js';

const host = useVms();
const each = needOf({ accel: 'tcg', memoryMib: 1 }).memoryMib;

/** A host that knows of no VM and has room for `vms` of them, and for a disk of `diskMib`. */
const roomFor = (vms: number, diskMib = 10_000): HostCapacity => ({
  memory: { totalMib: 100_000, availableMib: 512 + vms * each },
  disk: { path: '/', freeMib: 512 + diskMib },
  vms: [],
});
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
  const own = { memoryMib: each, diskMib: 1 };
  const taken = { memoryMib: 100, diskMib: 0 };
  const full = roomFor(0, 1);
  full.memory.availableMib += each - taken.memoryMib;
  host.engine.host = { ...full, vms: [{ vmId: id, promised: own, taken }] };
  await expect(host.vms.requireCapacity(host.userId, { browser: false })).resolves.toBeUndefined();
  await expect(host.vms.requireCapacity(host.userId, { browser: true })).rejects.toMatchObject(refused);
  // What was left of it runs no more.
  host.engine.host = roomFor(0, 0);
  await expect(host.vms.requireCapacity(host.userId, { browser: false })).rejects.toMatchObject(refused);
  letGo();
  await ended;
});

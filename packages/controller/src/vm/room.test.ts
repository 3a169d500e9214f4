/** Room on the host: nobody is given what somebody else was promised. */
import { expect, test } from 'vitest';
import { needOf, type HostCapacity } from '@airlock/contract/capacity';
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

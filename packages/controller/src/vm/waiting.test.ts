/** VMs that nobody has: how one waits, is given once, makes way, and is found again. The database is real, the engine is not. */
import { expect, it } from 'vitest';
import { AppError } from '@airlock/contract/errors';
import { addUser } from '../store/testing.js';
import { gate, useVms } from './testing.js';
import type { VmRow } from './vm.js';

const host = useVms();
const never = new AbortController().signal;
const [one, other] = ['ses_0000000000000001', 'ses_0000000000000002'] as const;

/** On a machine that may be busy. */
const patient = { timeout: 10_000 };
const look = async (id: string): Promise<VmRow | undefined> => host.vms.get(id);
async function becomes(id: string, state: VmRow['state']): Promise<void> {
  await expect.poll(async () => (await look(id))?.state, patient).toBe(state);
}

async function made(): Promise<VmRow> {
  const { id } = await host.vms.createWaiting();
  await becomes(id, 'waiting');
  return (await look(id)) as VmRow;
}

it('waits without a user, a session or an end', async () => {
  const row = await made();
  expect(row).toMatchObject({ userId: null, sessionId: null, destroyAt: null, kind: 'browser' });
  expect(row.readyAt).toBeInstanceOf(Date);
  expect(await host.vms.waiting()).toMatchObject([{ row: { id: row.id }, fits: true }]);
  expect(await host.vms.list(host.userId)).toEqual([]);
});

it('is given to one of several who want it at the same time, and is theirs as any other', async () => {
  const { id } = await made();
  const ben = 'usr_00000000000000bb';
  await addUser(host.database.store.db, ben, 'ben', 10002);
  const claims = [
    { userId: host.userId, sessionId: one },
    { userId: ben, sessionId: other },
  ];
  const results = await Promise.all([...claims, ...claims].map((claim) => host.vms.assign(id, claim)));
  const winners = results.filter((row) => row !== undefined);
  expect(winners).toHaveLength(1);
  const [winner] = winners;
  expect(host.engine.given).toEqual([{ vmId: id, sessionId: winner?.sessionId }]);
  await host.vms.waitReady(id, () => undefined, never);
  expect(await look(id)).toMatchObject({ state: 'running', userId: winner?.userId, sessionId: winner?.sessionId });
  expect(await host.vms.waiting()).toEqual([]);
});

it('has failed, and is given to nobody else, when it could not be given', async () => {
  const { id } = await made();
  host.engine.giveGate = () => Promise.reject(new AppError('vm_lost', 'Its browser has gone.'));
  await expect(host.vms.assign(id, { userId: host.userId, sessionId: one })).rejects.toMatchObject({ code: 'vm_lost' });
  expect(await look(id)).toMatchObject({ state: 'failed', error: { code: 'vm_lost' } });
  expect(await host.vms.assign(id, { userId: host.userId, sessionId: other })).toBeUndefined();
});

it('is told of when it ends while it waits', async () => {
  const { id } = await made();
  host.engine.end(id);
  await becomes(id, 'failed');
  expect((await look(id))?.error?.code).toBe('vm_lost');
});

it('is dropped unless somebody has it', async () => {
  const [{ id }, kept] = [await made(), await made()];
  expect(await host.vms.dropWaiting(id)).toBe(true);
  expect((await look(id))?.state).toBe('destroyed');
  await host.vms.assign(kept.id, { userId: host.userId, sessionId: one });
  expect(await host.vms.dropWaiting(kept.id)).toBe(false);
  await becomes(kept.id, 'running');
});

it('does not fit any more once a new one would be another: by image, or by settings', async () => {
  const { id } = await made();
  const fits = async (): Promise<boolean[]> => (await host.vms.waiting()).map((waiting) => waiting.fits);
  await host.restart({ AIRLOCK_TIMEZONE: 'Asia/Tokyo' });
  await host.vms.reconcile();
  expect(await fits()).toEqual([false]);
  await host.restart();
  await host.vms.reconcile();
  expect(await fits()).toEqual([true]);
  host.imageId = 'img_another';
  expect(await fits()).toEqual([false]);
  expect((await look(id))?.state).toBe('waiting');
});

it('is found again by the next controller; one that was given on the way is given then', async () => {
  const [waiting, claimed] = [await made(), await made()];
  const { opened, open } = gate();
  // The controller ends after it has written whose the VM is, and before the runner hears of it.
  host.engine.giveGate = () => opened.then(() => Promise.reject(new AppError('aborted', 'The controller has ended.')));
  const given = host.vms.assign(claimed.id, { userId: host.userId, sessionId: one }).catch(() => undefined);
  await expect.poll(async () => (await look(claimed.id))?.userId, patient).toBe(host.userId);
  host.engine.giveGate = undefined;
  await host.restart();
  await host.vms.reconcile();
  await becomes(claimed.id, 'running');
  expect(host.engine.given).toEqual([{ vmId: claimed.id, sessionId: one }]);
  expect((await look(waiting.id))?.state).toBe('waiting');
  open();
  await given;
});

it('is not made any more once all VMs were stopped, which ends those that wait', async () => {
  const { id } = await made();
  await host.vms.stopAll();
  expect((await look(id))?.state).toBe('destroyed');
  await expect(host.vms.createWaiting()).rejects.toMatchObject({ code: 'shutting_down' });
});

it('makes way for a person, and never for another one that nobody has', async () => {
  const { id } = await made();
  host.engine.host.memory = { totalMib: 4000, availableMib: 0 };
  await expect(host.vms.createWaiting()).rejects.toMatchObject({ code: 'capacity_exhausted' });
  expect((await look(id))?.state).toBe('waiting');
  const create = host.vms.createBrowser({ userId: host.userId, sessionId: null, destroyAt: null });
  await expect(create).rejects.toMatchObject({ code: 'capacity_exhausted' });
  expect((await look(id))?.state).toBe('destroyed');
});

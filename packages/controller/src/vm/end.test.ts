/** What a controller makes of the VMs that the one before left. Real rows; an engine without VMs. */
import { eq } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { AppError } from '@airlock/contract/errors';
import { vms } from './table.js';
import type { VmRow } from './vm.js';
import { useVms } from './testing.js';

const never = new AbortController().signal;
const host = useVms();

const browser = (): Promise<VmRow> => host.vms.createBrowser({ userId: host.userId, sessionId: null, destroyAt: null });
const cli = (): Promise<VmRow> => host.vms.ensureCli(host.userId, null, () => undefined, never);
const ready = (vm: VmRow): Promise<VmRow> => host.vms.waitReady(vm.id, () => undefined, never);

/** A controller that is killed while its engine starts a VM: nothing of that start goes on. */
async function restartDuringStart(): Promise<void> {
  await host.restart();
  host.engine.startGate = undefined;
  await host.vms.reconcile();
}

const forever = new Promise<void>(() => undefined);

test('a browser VM that runs is adopted', async () => {
  const vm = await browser();
  await ready(vm);
  await host.restart();
  await host.vms.reconcile();
  expect(await ready(vm)).toMatchObject({ state: 'running', epoch: 1 });
  expect(host.engine.done).toEqual([`start ${vm.id}`]);
});

test('a call to its runner that is lost on the way ends no VM, and its end is heard of afterwards', async () => {
  const vm = await browser();
  await ready(vm);
  await expect.poll(() => host.engine.asked).toBe(2);
  host.engine.loseCall(vm.id);
  await expect.poll(() => host.engine.asked).toBe(3);
  host.engine.end(vm.id);
  await expect.poll(async () => (await host.vms.get(vm.id))?.state).toBe('failed');
  // Nobody has stopped it.
  expect(host.engine.done).toEqual([`start ${vm.id}`]);
});

test('a browser VM that had not been powered on is started', async () => {
  host.engine.startGate = forever;
  const vm = await browser();
  await expect.poll(async () => (await host.vms.get(vm.id))?.state).toBe('starting');
  await restartDuringStart();
  expect(await ready(vm)).toMatchObject({ state: 'running', error: null });
  expect(host.engine.done).toEqual([`start ${vm.id}`]);
});

test('a browser VM that had run and is gone has failed, with the reason', async () => {
  const vm = await browser();
  await ready(vm);
  await host.vms.close();
  host.engine.running.delete(vm.id);
  await host.restart();
  await host.vms.reconcile();
  expect(await host.vms.get(vm.id)).toMatchObject({ state: 'failed', error: { code: 'vm_lost' } });
});

test('a CLI VM that was being started stands still, and the next use starts it', async () => {
  const vm = await cli();
  await host.vms.stopAll();
  host.engine.startGate = forever;
  void cli();
  await expect.poll(async () => (await host.vms.get(vm.id))?.state).toBe('starting');
  await restartDuringStart();
  expect(await host.vms.get(vm.id)).toMatchObject({ state: 'stopped' });
  expect(await cli()).toMatchObject({ id: vm.id, state: 'running' });
});

test('a VM whose files cannot be read is taken away, or kept still; the others are adopted', async () => {
  const [lost, kept, fine] = [await browser(), await cli(), await browser()];
  await ready(lost);
  await ready(fine);
  await host.restart();
  for (const { id } of [lost, kept]) host.engine.unreadable.add(id);
  await host.vms.reconcile();
  expect(await ready(fine)).toMatchObject({ state: 'running' });
  const state = async (vm: VmRow): Promise<string | undefined> => (await host.vms.get(vm.id))?.state;
  await expect.poll(() => state(lost), { timeout: 5000 }).toBe('destroyed');
  await expect.poll(() => state(kept), { timeout: 5000 }).toBe('stopped');
  expect((await host.vms.get(kept.id))?.error).toMatchObject({ code: 'runner_failed' });
});

test('a CLI VM whose disk is only being copied when all are stopped leaves nothing; the next use makes another', async () => {
  host.engine.diskGate = forever;
  const making = cli();
  await expect.poll(async () => (await host.vms.cliOf(host.userId))?.state).toBe('creating');
  const half = await host.vms.cliOf(host.userId);
  const [made] = await Promise.allSettled([making, host.vms.stopAll()]);
  expect(made).toMatchObject({ status: 'rejected', reason: { code: 'vm_not_running' } });
  expect(await host.vms.get(half?.id ?? '')).toMatchObject({ state: 'destroyed' });
  host.engine.diskGate = undefined;
  const whole = await cli();
  expect(whole).toMatchObject({ state: 'running' });
  expect(whole.id).not.toBe(half?.id);
});

/** What an engine meets on a disk that does not work. */
const broken = new AppError('internal', 'input/output error');

test('a browser VM that cannot start and cannot be cleaned up says why, and is cleaned up by a later sweep', async () => {
  host.engine.startError = new AppError('vm_boot_timeout', 'It did not start.');
  host.engine.stopError = broken;
  const vm = await browser();
  await expect(ready(vm)).rejects.toMatchObject({ code: 'vm_boot_timeout' });
  expect(await host.vms.get(vm.id)).toMatchObject({ state: 'destroying', error: { code: 'vm_boot_timeout' } });
  host.engine.stopError = undefined;
  await expect.poll(async () => (await host.vms.get(vm.id))?.state, { timeout: 5000 }).toBe('destroyed');
});

test.each(['browser', 'cli'] as const)(
  'a %s VM that ends by itself and cannot be cleaned up says so, and is cleaned up by a later sweep',
  async (kind) => {
    const vm = await (kind === 'cli' ? cli() : browser());
    await ready(vm);
    host.engine.stopError = broken;
    host.engine.end(vm.id);
    const state = async (): Promise<string | undefined> => (await host.vms.get(vm.id))?.state;
    await expect.poll(state).toBe(kind === 'cli' ? 'stopping' : 'destroying');
    await expect(ready(vm)).rejects.toMatchObject({ code: 'vm_lost' });
    host.engine.stopError = undefined;
    await expect.poll(state, { timeout: 5000 }).toBe(kind === 'cli' ? 'stopped' : 'destroyed');
  },
);

test('a VM that cannot be destroyed holds up no other: neither its end nor the stop of one that is idle', async () => {
  const stuck = await browser();
  await ready(stuck);
  const idle = await cli();
  const other = await browser();
  await ready(other);
  let letGo = (): void => undefined;
  const gate = new Promise<void>((resolve) => (letGo = resolve));
  host.engine.stopGate = (vmId) => (vmId === stuck.id ? gate : undefined);
  await host.vms.scheduleDestroy(stuck.id, new Date());
  const state = async (vm: VmRow): Promise<string | undefined> => (await host.vms.get(vm.id))?.state;
  await expect.poll(() => state(stuck), { timeout: 5000 }).toBe('destroying');
  await host.vms.scheduleDestroy(other.id, new Date());
  await host.database.store.db
    .update(vms)
    .set({ createdAt: new Date(0), readyAt: new Date(0), lastUsedAt: null })
    .where(eq(vms.id, idle.id));
  await expect.poll(() => state(other), { timeout: 5000 }).toBe('destroyed');
  await expect.poll(() => state(idle), { timeout: 5000 }).toBe('stopped');
  expect(await state(stuck)).toBe('destroying');
  letGo();
});

test('the key of a home is made with its CLI VM, kept through restarts, and goes with it', async () => {
  const vm = await cli();
  const [key] = host.homeKeys.held.values();
  await host.restart();
  await host.vms.reconcile();
  expect([...host.homeKeys.held]).toEqual([[vm.id, key]]);
  await host.vms.destroy(vm.id);
  expect([...host.homeKeys.held]).toEqual([]);
});

test('a CLI VM whose key is lost does not start with an empty home: it stands still, and says why', async () => {
  const vm = await cli();
  host.engine.end(vm.id);
  await expect.poll(async () => (await host.vms.get(vm.id))?.state).toBe('stopped');
  host.homeKeys.held.clear();
  await expect(cli()).rejects.toMatchObject({ code: 'home_key_lost' });
  expect(await host.vms.get(vm.id)).toMatchObject({ state: 'stopped', error: { code: 'home_key_lost' } });
});

/** What a controller makes of the VMs that the one before left. Real rows; an engine without VMs. */
import { expect, test } from 'vitest';
import type { VmRow } from './machine.js';
import { useMachines } from './testing.js';

const never = new AbortController().signal;
const host = useMachines();

const browser = (): Promise<VmRow> =>
  host.machines.createBrowser({ userId: host.userId, sessionId: null, destroyAt: null });
const cli = (): Promise<VmRow> => host.machines.ensureCli(host.userId, null, () => undefined, never);
const ready = (vm: VmRow): Promise<VmRow> => host.machines.waitReady(vm.id, () => undefined, never);

/** A controller that is killed while its engine starts a VM: nothing of that start goes on. */
async function restartDuringStart(): Promise<void> {
  await host.restart();
  host.engine.startGate = undefined;
  await host.machines.reconcile();
}

const forever = new Promise<void>(() => undefined);

test('a browser VM that runs is adopted', async () => {
  const vm = await browser();
  await ready(vm);
  await host.restart();
  await host.machines.reconcile();
  expect(await ready(vm)).toMatchObject({ state: 'running', epoch: 1 });
  expect(host.engine.done).toEqual([`start ${vm.id}`]);
});

test('a browser VM that had not been powered on is started', async () => {
  host.engine.startGate = forever;
  const vm = await browser();
  await expect.poll(async () => (await host.machines.get(vm.id))?.state).toBe('starting');
  await restartDuringStart();
  expect(await ready(vm)).toMatchObject({ state: 'running', error: null });
  expect(host.engine.done).toEqual([`start ${vm.id}`]);
});

test('a browser VM that had run and is gone has failed, with the reason', async () => {
  const vm = await browser();
  await ready(vm);
  await host.machines.close();
  host.engine.running.delete(vm.id);
  await host.restart();
  await host.machines.reconcile();
  expect(await host.machines.get(vm.id)).toMatchObject({ state: 'failed', error: { code: 'vm_lost' } });
});

test('a CLI VM that was being started stands still, and the next use starts it', async () => {
  const vm = await cli();
  await host.machines.stopAll();
  host.engine.startGate = forever;
  void cli();
  await expect.poll(async () => (await host.machines.get(vm.id))?.state).toBe('starting');
  await restartDuringStart();
  expect(await host.machines.get(vm.id)).toMatchObject({ state: 'stopped' });
  expect(await cli()).toMatchObject({ id: vm.id, state: 'running' });
});

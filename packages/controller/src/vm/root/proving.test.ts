/** Starts and uses of VMs whose new root is just being proved. Real rows; an engine without VMs. */
import { describe, expect, test } from 'vitest';
import { AppError } from '@airlock/contract/errors';
import { newId } from '@airlock/contract/ids';
import { addUser } from '../../store/testing.js';
import { vms as table } from '../table.js';
import { gate } from '../testing.js';
import { newer, older, underWay, useRoots } from '../testing/roots.js';

const { host, clis, still, row, expectRow, manyTurns } = useRoots();

describe('by hand, while the new root is proved', () => {
  test('a start of one that stood still: it runs in the end', async () => {
    const vm = await still();
    const proving = gate();
    clis.proof = () => proving.opened;
    await host.vms.update(vm.id, { kind: 'update', now: false });
    await expectRow(vm, { state: 'running', rootUpdate: { state: 'proving' } });
    await host.vms.start(vm.id);
    proving.open();
    await expectRow(vm, { rootUpdate: null });
    await manyTurns();
    expect(await row(vm)).toMatchObject({ state: 'running' });
    expect(host.vms.usesOf(host.userId)).toBe(0);
  });

  test('a restart: the root is proved all the same', async () => {
    const vm = await still();
    const restarted = gate();
    let proofs = 0;
    clis.proof = async () => {
      proofs += 1;
      if (proofs > 1) return;
      await restarted.opened;
      throw new AppError('vm_not_running', 'The VM was stopped.');
    };
    await host.vms.update(vm.id, { kind: 'update', now: false });
    await expect.poll(() => proofs).toBe(1);
    await host.vms.restart(vm.id);
    restarted.open();
    await expectRow(vm, { rootUpdate: null, rootNumber: 2, state: 'running' });
  });
});

test('a root that came back is not removed by a controller that took it for the new one', async () => {
  const update = { from: { number: 1, imageId: older }, to: { number: 2, imageId: newer }, run: true };
  const vm = await still({ rootNumber: 2, imageId: newer, rootUpdate: underWay({ ...update, state: 'proving' }) });
  const using = await host.vms.useCli(host.userId, () => undefined, new AbortController().signal);
  await using.release();
  // Proving again, and running: as the last controller has left it.
  await host.database.store.db.update(table).set({ rootUpdate: underWay({ ...update, state: 'proving' }) });
  const other = newId('usr');
  await addUser(host.database.store.db, other, 'bob', 10_002);
  const first = await still({ userId: other, rootUpdate: underWay({ now: true }) });
  const copying = gate();
  host.engine.diskGate = copying.opened;
  await host.restart();
  await host.vms.reconcile();
  await expectRow(first, { rootUpdate: { state: 'copying' } });
  clis.proof = () => Promise.reject(new AppError('proof_failed', 'The CLI says no.'));
  const next = await host.vms.useCli(host.userId, () => undefined, new AbortController().signal);
  expect(next.vm).toMatchObject({ rootNumber: 1, rootUpdate: { state: 'failed' } });
  await next.release();
  clis.proof = async () => undefined;
  host.engine.steps.length = 0;
  copying.open();
  await expectRow(first, { rootUpdate: null, rootNumber: 2 });
  await manyTurns();
  expect(host.engine.steps).not.toContain(`keep 2 ${vm.id}`);
});

test('a setting that is wrong is not held against a root', async () => {
  const vm = await still();
  host.engine.startError = new AppError('config_invalid', 'AIRLOCK_EXTRA_CA cannot be read.');
  await host.vms.update(vm.id, { kind: 'update', now: false });
  await expectRow(vm, {
    rootUpdate: { state: 'proving' },
    state: 'stopped',
    rootNumber: 2,
    error: { code: 'config_invalid' },
  });
  host.engine.startError = undefined;
  const using = await host.vms.useCli(host.userId, () => undefined, new AbortController().signal);
  expect(using.vm).toMatchObject({ rootNumber: 2, rootUpdate: null });
  await using.release();
});

test('a VM that ran does so in the end, also when the stop between its roots broke off', async () => {
  host.imageId = older;
  const vm = await host.vms.ensureCli(host.userId, null, () => undefined, new AbortController().signal);
  host.imageId = newer;
  host.engine.stopError = new AppError('runner_failed', 'It does not end.');
  await host.vms.update(vm.id, { kind: 'update', now: false });
  await expectRow(vm, { state: 'stopping' });
  host.engine.stopError = undefined;
  await expectRow(vm, { rootUpdate: null, rootNumber: 2 });
  await manyTurns();
  expect(await row(vm)).toMatchObject({ state: 'running' });
});

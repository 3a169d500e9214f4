/** Replacements of roots that have to wait, or that somebody stops or starts meanwhile. Real rows; an engine without VMs. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { AppError } from '@airlock/contract/errors';
import { newId } from '@airlock/contract/ids';
import { addUser, silentLog } from '../../store/testing.js';
import { gate } from '../testing.js';
import { newer, older, underWay, useRoots } from '../testing/roots.js';

const { host, clis, still, row, expectRow, manyTurns } = useRoots();

const noDisk = (): object => ({ ...host.engine.host, disk: { path: '/', freeMib: 0 } });
const noMemory = (): object => ({ ...host.engine.host, memory: { totalMib: 0, availableMib: 0 } });

afterEach(() => void vi.restoreAllMocks());

describe('while VMs that stand still are updated by themselves', () => {
  const idle = (): Promise<void> => host.restart({ AIRLOCK_CLI_UPDATE: 'idle' });
  const told = () => [vi.spyOn(silentLog, 'info'), vi.spyOn(silentLog, 'warn')] as const;

  test('what the disk has no room for is not tried at each turn', async () => {
    const logs = told();
    const vm = await still();
    host.engine.host = noDisk() as never;
    await idle();
    await expectRow(vm, { rootUpdate: { state: 'failed', error: { code: 'disk_full' } } });
    await manyTurns();
    expect(logs.map(({ mock }) => mock.calls.length)).toEqual([1, 1]);
  });

  test('one that waits for memory is told of once, and keeps no other one waiting', async () => {
    const logs = told();
    const vm = await still();
    host.engine.host = noMemory() as never;
    const other = newId('usr');
    await addUser(host.database.store.db, other, 'bob', 10_002);
    const second = await still({ userId: other });
    await idle();
    await expectRow(vm, { rootUpdate: { state: 'copied' }, state: 'stopped' });
    await expectRow(second, { rootUpdate: { state: 'copied' }, state: 'stopped' });
    await manyTurns();
    expect(logs[0].mock.calls.length + logs[1].mock.calls.length).toBeLessThan(8);
  });

  test('one that is not proved keeps no other one waiting when there is a newer image', async () => {
    const update = underWay({
      state: 'proving',
      from: { number: 1, imageId: older },
      to: { number: 2, imageId: 'img_0000aa' },
    });
    await still({ rootNumber: 2, imageId: 'img_0000aa', rootUpdate: update });
    const other = newId('usr');
    await addUser(host.database.store.db, other, 'bob', 10_002);
    const second = await still({ userId: other });
    await idle();
    await expectRow(second, { imageId: newer, rootUpdate: null });
  });
});

describe('for a user who is disabled', () => {
  const idle = (): Promise<void> => host.restart({ AIRLOCK_CLI_UPDATE: 'idle' });

  test('no root is copied and nothing started by itself; others have their turn, and theirs comes when they are let in', async () => {
    const vm = await still();
    const other = newId('usr');
    await addUser(host.database.store.db, other, 'bob', 10_002);
    const second = await still({ userId: other });
    host.keptOut.add(host.userId);
    await idle();
    await expectRow(second, { imageId: newer, rootUpdate: null });
    await manyTurns();
    expect(await row(vm)).toMatchObject({ imageId: older, rootUpdate: null, state: 'stopped' });
    expect(host.engine.steps.filter((step) => step.endsWith(vm.id))).toEqual([]);
    host.keptOut.clear();
    await expectRow(vm, { imageId: newer, rootUpdate: null });
  });

  test.each([
    ['waits to be copied', underWay({ now: true, run: true })],
    ['was copied', underWay({ state: 'copied', now: true, run: true, to: { number: 2, imageId: newer } })],
  ])('what was asked for and %s keeps waiting, and keeps no other one waiting', async (_what, rootUpdate) => {
    const vm = await still({ rootUpdate });
    const other = newId('usr');
    await addUser(host.database.store.db, other, 'bob', 10_002);
    const second = await still({ userId: other });
    host.keptOut.add(host.userId);
    await idle();
    await expectRow(second, { imageId: newer, rootUpdate: null });
    await manyTurns();
    expect(await row(vm)).toMatchObject({ rootUpdate: { state: rootUpdate.state }, state: 'stopped' });
    expect(host.engine.steps.filter((step) => step.endsWith(vm.id))).toEqual([]);
  });

  test('a root that the controller before was proving is not started', async () => {
    const [from, to] = [
      { number: 1, imageId: older },
      { number: 2, imageId: newer },
    ];
    host.keptOut.add(host.userId);
    const vm = await still({ rootNumber: 2, imageId: newer, rootUpdate: underWay({ state: 'proving', from, to }) });
    await idle();
    await host.vms.reconcile();
    await manyTurns();
    expect(await row(vm)).toMatchObject({ rootUpdate: { state: 'proving' }, state: 'stopped', error: null });
    expect(host.engine.done).toEqual([]);
  });

  test('who is disabled while a root is copied: it is not started from it', async () => {
    const vm = await still();
    const copying = gate();
    host.engine.diskGate = copying.opened;
    await idle();
    await expectRow(vm, { rootUpdate: { state: 'copying' } });
    host.keptOut.add(host.userId);
    copying.open();
    await expectRow(vm, { rootUpdate: { state: 'copied' } });
    await manyTurns();
    expect(await row(vm)).toMatchObject({ rootUpdate: { state: 'copied' }, state: 'stopped', error: null });
    expect(host.engine.done).toEqual([]);
  });
});

describe('what was asked for first holds', () => {
  test('also when less is asked for while it waits', async () => {
    const vm = await still({ state: 'running' });
    host.engine.diskGate = new Promise(() => undefined);
    const first = await host.vms.update(vm.id, { kind: 'reset', now: true });
    expect(first.rootUpdate).toMatchObject({ kind: 'reset', now: true });
    expect((await host.vms.update(vm.id, { kind: 'update', now: false })).rootUpdate).toMatchObject({
      kind: 'reset',
      now: true,
    });
  });
});

describe('all VMs are stopped', () => {
  test('while a root is copied: none is started for it', async () => {
    const vm = await still();
    const copying = gate();
    host.engine.diskGate = copying.opened;
    await host.vms.update(vm.id, { kind: 'update', now: false });
    await expectRow(vm, { rootUpdate: { state: 'copying' } });
    await host.vms.stopAll();
    copying.open();
    await expectRow(vm, { rootUpdate: { state: 'copied' } });
    await manyTurns();
    expect(host.engine.done).toEqual([]);
  });

  test('during a carry-over: it ends, and the next use goes on', async () => {
    const vm = await still({ rootNumber: 0 });
    const copying = gate();
    host.engine.diskGate = copying.opened;
    const using = host.vms.useCli(host.userId, () => undefined, new AbortController().signal);
    await expectRow(vm, { rootUpdate: { state: 'copying' } });
    await host.vms.stopAll();
    copying.open();
    await expect(using).rejects.toMatchObject({ code: 'vm_not_running' });
    await manyTurns();
    expect(host.engine.done).toEqual([]);
    const next = await host.vms.useCli(host.userId, () => undefined, new AbortController().signal);
    expect(next.vm).toMatchObject({ rootNumber: 1, imageId: newer, rootUpdate: null, state: 'running' });
    await next.release();
  });
});

describe('a start by hand of a VM of a landed version', () => {
  test('whose root is being copied already: it runs in the end', async () => {
    const vm = await still({ rootNumber: 0 });
    const copying = gate();
    host.engine.diskGate = copying.opened;
    await host.vms.update(vm.id, { kind: 'update', now: false });
    await expectRow(vm, { rootUpdate: { state: 'copying' } });
    await host.vms.start(vm.id);
    copying.open();
    await expectRow(vm, { rootNumber: 1, rootUpdate: null, state: 'running' });
    await manyTurns();
    expect(await row(vm)).toMatchObject({ state: 'running' });
  });

  test('with a controller that is replaced while its root is copied: it runs in the end', async () => {
    const vm = await still({ rootNumber: 0 });
    host.engine.diskGate = new Promise(() => undefined);
    await host.vms.start(vm.id);
    await expectRow(vm, { rootUpdate: { state: 'copying' } });
    const ending = host.restart();
    host.engine.diskGate = undefined;
    await ending;
    await host.vms.reconcile();
    await expectRow(vm, { rootNumber: 1, rootUpdate: null, state: 'running' });
    await manyTurns();
    expect(await row(vm)).toMatchObject({ state: 'running' });
  });
});

describe('a stop by hand', () => {
  test('while the old root is being left: the VM stands still in the end', async () => {
    const vm = await host.vms.ensureCli(host.userId, null, () => undefined, new AbortController().signal);
    host.imageId = 'img_000002';
    const stopping = gate();
    host.engine.stopGate = () => stopping.opened;
    await host.vms.update(vm.id, { kind: 'update', now: false });
    await expectRow(vm, { state: 'stopping' });
    const stopped = host.vms.stop(vm.id);
    stopping.open();
    await stopped;
    await manyTurns();
    expect(await row(vm)).toMatchObject({ state: 'stopped', rootUpdate: { state: 'proving' } });
  });

  test('during a carry-over: the VM stands still in the end', async () => {
    const vm = await still({ rootNumber: 0 });
    const copying = gate();
    host.engine.diskGate = copying.opened;
    await host.vms.start(vm.id);
    await expectRow(vm, { rootUpdate: { state: 'copying' } });
    await host.vms.stop(vm.id);
    copying.open();
    await expectRow(vm, { rootUpdate: null, state: 'stopped' });
  });

  test('of one that is not proved yet: the next controller does not leave it running', async () => {
    const vm = await host.vms.ensureCli(host.userId, null, () => undefined, new AbortController().signal);
    host.imageId = 'img_000002';
    clis.proof = () => new Promise(() => undefined);
    await host.vms.update(vm.id, { kind: 'update', now: false });
    await expectRow(vm, { state: 'running', rootUpdate: { state: 'proving' } });
    await host.vms.stop(vm.id);
    clis.proof = async () => undefined;
    await host.restart();
    await host.vms.reconcile();
    await expectRow(vm, { state: 'stopped' });
    await manyTurns();
    expect(await row(vm)).toMatchObject({ state: 'stopped', rootUpdate: null });
  });
});

test('a new root is not blamed for a VM that the next controller cannot find anything out about', async () => {
  const vm = await host.vms.ensureCli(host.userId, null, () => undefined, new AbortController().signal);
  host.imageId = 'img_000002';
  clis.proof = () => new Promise(() => undefined);
  await host.vms.update(vm.id, { kind: 'update', now: false });
  await expectRow(vm, { state: 'running', rootUpdate: { state: 'proving' } });
  const ending = host.restart();
  clis.proof = async () => undefined;
  await ending;
  host.engine.unreadable.add(vm.id);
  host.engine.stopError = new AppError('runner_failed', 'Its status cannot be read.');
  await host.vms.reconcile();
  await manyTurns();
  host.engine.stopError = undefined;
  host.engine.unreadable.clear();
  await expectRow(vm, { imageId: 'img_000002', rootUpdate: null, state: 'running' });
});

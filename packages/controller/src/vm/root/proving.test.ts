/** Starts and uses of VMs whose new root is just being proved. Real rows; an engine without VMs. */
import { setTimeout as delay } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { raceAbort } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import { newId } from '@airlock/contract/ids';
import { addUser } from '../../store/testing.js';
import { noTimings } from '../rows.js';
import { vms as table, type RootUpdate } from '../table.js';
import { useVms } from '../testing.js';
import type { VmRow } from '../vm.js';

const older = 'img_000000';
const newer = 'img_000001';
/** Milliseconds in which many turns of the updater are taken. */
const manyTurnsMs = 600;
let proof: () => Promise<void>;
const host = useVms(
  { AIRLOCK_CLI_UPDATE: 'manual' },
  {
    starting: async () => undefined,
    ready: async () => undefined,
    proved: (_row, { signal }) => raceAbort(proof(), signal),
    ending: async () => undefined,
  },
);

/** A CLI VM that stands still: of landed versions, or with a root of its own. */
async function still(values: Partial<VmRow> = {}): Promise<VmRow> {
  const id = newId('vm');
  await host.homeKeys.sealHomeKey(id);
  const vm = { id, userId: host.userId, kind: 'cli', state: 'stopped', imageId: older, accel: 'tcg' } as const;
  await host.database.store.db.insert(table).values({ ...vm, timings: noTimings, rootNumber: 1, ...values });
  return row({ id });
}
const row = async ({ id }: Pick<VmRow, 'id'>): Promise<VmRow> => (await host.vms.get(id)) as VmRow;
async function expectRow(vm: VmRow, wanted: object): Promise<void> {
  await expect.poll(() => row(vm), { timeout: 5000 }).toMatchObject(wanted);
}
const underWay = (values: Partial<RootUpdate>): RootUpdate => ({
  ...{ kind: 'update', state: 'waiting', now: false, run: false, from: null, to: null, broken: 0 },
  ...{ since: Date.now(), error: null, ...values },
});
function gate(): { opened: Promise<void>; open(): void } {
  let open = (): void => undefined;
  return { opened: new Promise<void>((resolve) => (open = resolve)), open: () => open() };
}

beforeEach(() => {
  proof = async () => undefined;
  host.imageId = newer;
});

describe('by hand, while the new root is proved', () => {
  test('a start of one that stood still: it runs in the end', async () => {
    const vm = await still();
    const proving = gate();
    proof = () => proving.opened;
    await host.vms.update(vm.id, { kind: 'update', now: false });
    await expectRow(vm, { state: 'running', rootUpdate: { state: 'proving' } });
    await host.vms.start(vm.id);
    proving.open();
    await expectRow(vm, { rootUpdate: null });
    await delay(manyTurnsMs);
    expect(await row(vm)).toMatchObject({ state: 'running' });
    expect(host.vms.usesOf(host.userId)).toBe(0);
  });

  test('a restart: the root is proved all the same', async () => {
    const vm = await still();
    const restarted = gate();
    let proofs = 0;
    proof = async () => {
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
  proof = () => Promise.reject(new AppError('proof_failed', 'The CLI says no.'));
  const next = await host.vms.useCli(host.userId, () => undefined, new AbortController().signal);
  expect(next.vm).toMatchObject({ rootNumber: 1, rootUpdate: { state: 'failed' } });
  await next.release();
  proof = async () => undefined;
  host.engine.steps.length = 0;
  copying.open();
  await expectRow(first, { rootUpdate: null, rootNumber: 2 });
  await delay(manyTurnsMs);
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
  await delay(manyTurnsMs);
  expect(await row(vm)).toMatchObject({ state: 'running' });
});

/** Another root under a CLI VM's home: each way that goes, and each way back. Real rows; an engine without VMs. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { raceAbort } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import { newId } from '@airlock/contract/ids';
import { addUser } from '../../store/testing.js';
import { noTimings } from '../rows.js';
import { vms as table } from '../table.js';
import { gate, useVms } from '../testing.js';
import type { CliGuard, VmRow } from '../vm.js';

const older = 'img_000000';
const newer = 'img_000001';
const never = new AbortController().signal;
let guarded: string[] = [];
/** What the CLIs say of their logins. */
let proof: () => Promise<void>;
const guard: CliGuard = {
  starting: async () => undefined,
  ready: async () => undefined,
  async proved(row, { signal }) {
    guarded.push(`proved ${row.rootNumber} ${row.imageId}`);
    await raceAbort(proof(), signal);
  },
  ending: async (row) => void guarded.push(`ending ${row.rootNumber}`),
};
const host = useVms({ AIRLOCK_CLI_UPDATE: 'manual' }, guard);

const made = (): Promise<VmRow> => host.vms.ensureCli(host.userId, null, () => undefined, never);
const use = () => host.vms.useCli(host.userId, () => undefined, never);
const row = async ({ id }: Pick<VmRow, 'id'>): Promise<VmRow> => (await host.vms.get(id)) as VmRow;
const update = ({ id }: VmRow, now = false): Promise<VmRow> => host.vms.update(id, { kind: 'update', now });
async function expectRow(vm: VmRow, wanted: object): Promise<void> {
  await expect.poll(() => row(vm), { timeout: 5000 }).toMatchObject(wanted);
}
const updated = { imageId: newer, rootNumber: 2, rootUpdate: null, error: null };
const asBefore = { imageId: older, rootNumber: 1 };

/** A CLI VM as landed versions left it, standing still. */
async function landed(userId = host.userId): Promise<VmRow> {
  const id = newId('vm');
  await host.homeKeys.sealHomeKey(id);
  const vm = { id, userId, kind: 'cli', state: 'stopped', imageId: older, accel: 'tcg', timings: noTimings } as const;
  await host.database.store.db.insert(table).values(vm);
  return row({ id });
}

beforeEach(() => {
  guarded = [];
  proof = async () => undefined;
});
afterEach(() => {
  host.engine.bootGate = undefined;
});

describe('an update', () => {
  test('of a VM that runs: the new root beside the old one, a last look, the new one proved, the old one gone', async () => {
    const vm = await made();
    host.imageId = newer;
    host.engine.steps.length = 0;
    expect(await update(vm)).toMatchObject({ state: 'running', rootUpdate: { state: 'waiting' }, imageId: older });
    await expectRow(vm, { ...updated, state: 'running' });
    expect(guarded).toEqual(['ending 1', `proved 2 ${newer}`]);
    await expect
      .poll(() => host.engine.steps)
      .toEqual([`keep 1`, `root 2`, 'stop', 'start', 'keep 2'].map((word) => `${word} ${vm.id}`));
  });

  test('of a VM that stands still: it stands still again', async () => {
    const vm = await made();
    await host.vms.stop(vm.id);
    host.imageId = newer;
    await update(vm);
    await expectRow(vm, { ...updated, state: 'stopped', epoch: vm.epoch + 1 });
    expect(host.engine.low).toEqual([false, true]);
  });

  test('is none for a VM that has the image, and one that failed is over with it', async () => {
    const vm = await made();
    expect(await update(vm)).toMatchObject({ rootUpdate: null });
    host.imageId = newer;
    proof = () => Promise.reject(new AppError('proof_failed', 'The CLI says no.'));
    await update(vm);
    await expectRow(vm, { rootUpdate: { state: 'failed' } });
    host.imageId = older;
    expect(await update(vm)).toMatchObject({ ...asBefore, rootUpdate: null });
  });

  test('waits until nobody uses the VM, but for its turn to be told', async () => {
    const vm = await made();
    const using = await use();
    host.imageId = newer;
    await update(vm);
    await expectRow(vm, { rootUpdate: { state: 'copied' }, state: 'running', epoch: vm.epoch });
    await using.release();
    await expectRow(vm, { ...updated, state: 'running' });
  });

  test('that is not to wait ends uses, and uses that come meanwhile get the new root', async () => {
    const vm = await made();
    const using = await use();
    host.imageId = newer;
    await update(vm);
    await expectRow(vm, { rootUpdate: { state: 'copied' } });
    const proving = gate();
    proof = () => proving.opened;
    await update(vm, true);
    await expect.poll(() => using.ended.aborted).toBe(true);
    await expectRow(vm, { rootUpdate: { state: 'proving' }, state: 'running' });
    const next = use();
    proving.open();
    expect((await next).vm).toMatchObject({ ...updated, state: 'running' });
    await Promise.all([using.release(), (await next).release()]);
  });

  test('goes to one VM after the other', async () => {
    const vm = await made();
    const other = newId('usr');
    await addUser(host.database.store.db, other, 'bob', 10_002);
    const second = await host.vms.ensureCli(other, null, () => undefined, never);
    host.imageId = newer;
    const copying = gate();
    host.engine.diskGate = copying.opened;
    const noted: string[] = [];
    const note = async ({ id, rootUpdate }: VmRow): Promise<void> => void noted.push(`${id} ${rootUpdate?.state}`);
    const asked = (await host.vms.updateAll(note)).map(({ id }) => id);
    expect(asked.toSorted()).toEqual([vm.id, second.id].toSorted());
    // Each before it was asked for.
    expect(noted).toEqual(asked.map((id) => `${id} undefined`));
    await expectRow(vm, { rootUpdate: { state: 'copying' } });
    expect(await row(second)).toMatchObject({ rootUpdate: { state: 'waiting' } });
    copying.open();
    host.engine.diskGate = undefined;
    await expectRow(vm, updated);
    await expectRow(second, updated);
    expect(await host.vms.updateAll(note)).toEqual([]);
  });

  test('of a VM that is destroyed meanwhile ends with it', async () => {
    const vm = await made();
    host.imageId = newer;
    host.engine.diskGate = new Promise(() => undefined);
    await update(vm);
    await expectRow(vm, { rootUpdate: { state: 'copying' } });
    await host.vms.destroy(vm.id);
    expect(await row(vm)).toMatchObject({ state: 'destroyed', imageId: older });
  });
});

test('a reset is a fresh root of the same image, too', async () => {
  const vm = await made();
  await host.vms.update(vm.id, { kind: 'reset', now: false });
  await expectRow(vm, { imageId: older, rootNumber: 2, rootUpdate: null, state: 'running' });
});

describe('the old root comes back', () => {
  test.each(['proof_failed', 'command_failed', 'vm_boot_failed'] as const)(
    'when the new one ends with %s',
    async (code) => {
      const vm = await made();
      host.imageId = newer;
      proof = () => Promise.reject(new AppError(code, 'No good.'));
      await update(vm);
      const rootUpdate = { state: 'failed', to: { number: 2, imageId: newer }, error: { code, message: 'No good.' } };
      await expectRow(vm, { ...asBefore, rootUpdate, state: 'running', error: null });
      expect(host.engine.steps.slice(-2)).toEqual([`keep 1 ${vm.id}`, `start ${vm.id}`]);
    },
  );

  test('when it ends twice by what may come from outside; once is tried again', async () => {
    const vm = await made();
    host.imageId = newer;
    let times = 0;
    proof = async () => {
      times += 1;
      host.engine.end(vm.id);
      throw new AppError('vm_lost', 'Gone.');
    };
    await update(vm);
    await expectRow(vm, { ...asBefore, rootUpdate: { state: 'failed', error: { code: 'vm_lost' } }, state: 'running' });
    expect(times).toBe(2);
  });

  test('when there is no room for it, before anything was stopped', async () => {
    const vm = await made();
    host.imageId = newer;
    host.engine.host = { ...host.engine.host, disk: { path: '/', freeMib: 0 } };
    await update(vm);
    await expectRow(vm, {
      ...asBefore,
      rootUpdate: { state: 'failed', error: { code: 'disk_full' } },
      state: 'running',
    });
    expect(guarded).toEqual([]);
  });
});

describe('a controller that takes over', () => {
  test.each(['copying', 'proving'] as const)('goes on where the last one was: %s', async (state) => {
    const vm = await made();
    host.imageId = newer;
    if (state === 'copying') host.engine.diskGate = new Promise(() => undefined);
    else proof = () => new Promise(() => undefined);
    await update(vm);
    await expectRow(vm, { rootUpdate: { state } });
    if (state === 'proving') await expectRow(vm, { state: 'running' });
    // Its end is not waited for: a killed one waits for nothing.
    const ending = host.restart();
    host.engine.diskGate = undefined;
    proof = async () => undefined;
    await ending;
    await host.vms.reconcile();
    await expectRow(vm, { ...updated, state: 'running' });
  });
});

describe('a VM of a landed version', () => {
  test('gets a root of its own at its next use', async () => {
    const vm = await landed();
    const using = await use();
    expect(using.vm).toMatchObject({ ...updated, id: vm.id, rootNumber: 1, state: 'running' });
    expect(host.engine.steps).toEqual(['keep 0', 'root 1', 'start', 'keep 1'].map((word) => `${word} ${vm.id}`));
    await using.release();
  });

  test('and when it is started by hand', async () => {
    const vm = await landed();
    expect(await host.vms.start(vm.id)).toMatchObject({ state: 'stopped', rootUpdate: { state: 'waiting' } });
    await expectRow(vm, { rootNumber: 1, imageId: newer, rootUpdate: null, state: 'running' });
  });

  test('starts as it was where that cannot be', async () => {
    const vm = await landed();
    proof = () => Promise.reject(new AppError('proof_failed', 'The CLI says no.'));
    const using = await use();
    const rootUpdate = { state: 'failed', error: { code: 'proof_failed' } };
    expect(using.vm).toMatchObject({ id: vm.id, rootNumber: 0, imageId: older, rootUpdate, state: 'running' });
    await using.release();
    await host.vms.stop(vm.id);
    guarded = [];
    const again = await use();
    // What has failed is not tried at each start.
    expect(guarded).toEqual([]);
    await again.release();
  });

  beforeEach(() => {
    host.imageId = newer;
  });
});

test('VMs that stand still are updated by themselves, if that is wanted', async () => {
  const vm = await made();
  await host.vms.stop(vm.id);
  host.imageId = newer;
  await host.restart({ AIRLOCK_CLI_UPDATE: 'idle' });
  await host.vms.reconcile();
  await expectRow(vm, { ...updated, state: 'stopped' });
});

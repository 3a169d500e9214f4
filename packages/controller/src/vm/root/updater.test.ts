/** Replacements of roots that have to wait, or that somebody stops or starts meanwhile. Real rows; an engine without VMs. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { raceAbort } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import { newId } from '@airlock/contract/ids';
import { addUser, silentLog } from '../../store/testing.js';
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
const noDisk = (): object => ({ ...host.engine.host, disk: { path: '/', freeMib: 0 } });
const noMemory = (): object => ({ ...host.engine.host, memory: { totalMib: 0, availableMib: 0 } });

beforeEach(() => {
  proof = async () => undefined;
  host.imageId = newer;
});
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
    await delay(manyTurnsMs);
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
    await delay(manyTurnsMs);
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

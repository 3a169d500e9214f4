/** CLI VMs that are stopped and started by hand, in each state and at the same time. Real rows; an engine without VMs. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AppError } from '@airlock/contract/errors';
import { newId } from '@airlock/contract/ids';
import { vms as table } from './table.js';
import type { CliGuard, VmRow } from './vm.js';
import { exampleVm, gate, useVms } from './testing.js';

type Verb = 'stop' | 'start' | 'restart';

let guarded: string[] = [];
const guard: CliGuard = {
  starting: async () => void guarded.push('starting'),
  ready: async (row) => void guarded.push(`ready ${row.state}`),
  proved: async (row) => void guarded.push(`proved ${row.state}`),
  ending: async (row) => void guarded.push(`ending ${row.state}`),
};
const host = useVms({}, guard);
const never = new AbortController().signal;

const made = (): Promise<VmRow> => host.vms.ensureCli(host.userId, null, () => undefined, never);
const use = () => host.vms.useCli(host.userId, () => undefined, never);
const state = async ({ id }: Pick<VmRow, 'id'>): Promise<string | undefined> => (await host.vms.get(id))?.state;
async function becomes(vm: VmRow, wanted: string): Promise<void> {
  await expect.poll(() => state(vm), { timeout: 5000 }).toBe(wanted);
}

/** Opened at the end of each test: nothing waits for them any more then. */
let gates: ReturnType<typeof gate>[] = [];
function newGate(): ReturnType<typeof gate> {
  const one = gate();
  gates.push(one);
  return one;
}
beforeEach(() => {
  guarded = [];
  gates = [];
});
afterEach(() => {
  host.engine.stopGate = undefined;
  gates.forEach(({ open }) => open());
});

describe('a VM that is', () => {
  /** What `stop`, `start` and `restart` make of it. */
  // A VM that waits is no CLI VM.
  const table3 = {
    creating: ['vm_not_running', 'creating', 'vm_not_running'],
    starting: ['stopped', 'starting', 'running'],
    running: ['stopped', 'running', 'running'],
    stopping: ['stopped', 'running', 'running'],
    stopped: ['stopped', 'running', 'running'],
    destroying: ['vm_not_running', 'vm_not_running', 'vm_not_running'],
    failed: ['vm_not_running', 'vm_not_running', 'vm_not_running'],
    destroyed: ['vm_not_running', 'vm_not_running', 'vm_not_running'],
  } as const satisfies Record<Exclude<VmRow['state'], 'waiting'>, readonly [string, string, string]>;
  const verbs: Verb[] = ['stop', 'start', 'restart'];
  const cases = (Object.keys(table3) as (keyof typeof table3)[]).flatMap((from) =>
    verbs.map((verb, at) => [from, verb, table3[from][at] ?? ''] as const),
  );

  test.each(cases)('%s: %s makes it %s', async (from, verb, outcome) => {
    // Whoever removes it does not come to an end meanwhile.
    if (from === 'destroying') host.engine.stopGate = () => newGate().opened;
    const row: VmRow = { ...exampleVm(host.userId), kind: 'cli', state: from };
    await host.database.store.db.insert(table).values(row);
    await host.homeKeys.sealHomeKey(row.id);
    const called = host.vms[verb](row.id);
    if (outcome === 'vm_not_running') {
      await expect(called).rejects.toMatchObject({ code: outcome });
      expect(await state(row)).toBe(from);
      return;
    }
    expect((await called).id).toBe(row.id);
    await becomes(row, outcome);
    const isStarted = outcome === 'running' && (from !== 'running' || verb === 'restart');
    expect(host.engine.done).toEqual(isStarted ? [`start ${row.id}`] : []);
    // Each look before a stop is of a VM that runs.
    expect(guarded.filter((call) => call.startsWith('ending'))).toEqual(
      from === 'running' && verb !== 'start' ? ['ending running'] : [],
    );
  });

  test.each(verbs)('of a sign-in, or is none, is not for %s', async (verb) => {
    const browser = await host.vms.createBrowser({ userId: host.userId, sessionId: null, destroyAt: null });
    await expect(host.vms[verb](browser.id)).rejects.toMatchObject({
      code: 'invalid_request',
      hint: expect.stringContaining(`airlock vm destroy ${browser.id}`) as string,
    });
    await expect(host.vms[verb](newId('vm'))).rejects.toMatchObject({ code: 'not_found' });
    await becomes(browser, 'running');
  });
});

test('a restart is a stop after a last look and a start, and the guard sees it when it is ready', async () => {
  const vm = await made();
  guarded = [];
  const again = await host.vms.restart(vm.id);
  expect(again).toMatchObject({ id: vm.id, epoch: vm.epoch + 1, error: null });
  await expect.poll(() => guarded, { timeout: 5000 }).toEqual(['ending running', 'starting', 'ready running']);
  expect(host.engine.done).toEqual([`start ${vm.id}`, `stop ${vm.id}`, `start ${vm.id}`]);
});

describe('of two calls at the same time', () => {
  const cases: [first: Verb, second: Verb, outcome: string, done: string][] = [
    ['stop', 'stop', 'stopped', 'stop'],
    ['stop', 'start', 'running', 'stop start'],
    ['stop', 'restart', 'running', 'stop start'],
    ['restart', 'stop', 'stopped', 'stop start stop'],
    ['restart', 'start', 'running', 'stop start'],
    ['restart', 'restart', 'running', 'stop start stop start'],
  ];
  test.each(cases)('%s, then %s: the second holds, and it is %s', async (first, second, outcome, done) => {
    const vm = await made();
    host.engine.done.length = 0;
    const held = newGate();
    host.engine.stopGate = () => held.opened;
    const one = host.vms[first](vm.id);
    await becomes(vm, 'stopping');
    const two = host.vms[second](vm.id);
    // The second waits in the VM's turn, or would have moved the row by now.
    await expect(Promise.race([two, state(vm)])).resolves.toBe('stopping');
    held.open();
    await Promise.allSettled([one, two]);
    await becomes(vm, outcome);
    expect(host.engine.done.map((entry) => entry.split(' ')[0]).join(' ')).toBe(done);
  });

  test('start, then stop: the second holds', async () => {
    const vm = await made();
    await host.vms.stop(vm.id);
    const held = newGate();
    host.engine.startGate = held.opened;
    const starting = host.vms.start(vm.id);
    await becomes(vm, 'starting');
    const stopping = host.vms.stop(vm.id);
    held.open();
    await Promise.allSettled([starting, stopping]);
    expect(await state(vm)).toBe('stopped');
  });

  test('starts by hand and uses share one start', async () => {
    const vm = await made();
    await host.vms.stop(vm.id);
    host.engine.done.length = 0;
    const [, , used] = await Promise.all([host.vms.start(vm.id), host.vms.start(vm.id), use(), host.vms.start(vm.id)]);
    expect(used.vm).toMatchObject({ id: vm.id, state: 'running' });
    expect(host.engine.done).toEqual([`start ${vm.id}`]);
    await used.release();
  });
});

describe('what uses the VM', () => {
  test('is counted, and told that somebody has stopped it; the next use starts it', async () => {
    const vm = await made();
    expect(host.vms.usesOf(host.userId)).toBe(0);
    const used = [await use(), await use()];
    expect([host.vms.usesOf(host.userId), host.vms.usesOf('usr_other')]).toEqual([2, 0]);
    await host.vms.stop(vm.id);
    for (const { ended, release } of used) {
      expect(ended.reason).toMatchObject({ code: 'vm_not_running', message: `VM ${vm.id} was stopped.` });
      await release();
    }
    expect(host.vms.usesOf(host.userId)).toBe(0);
    const again = await use();
    expect([again.vm.state, again.ended.aborted]).toEqual(['running', false]);
    await again.release();
    await host.vms.stop(vm.id);
    expect(again.ended.aborted).toBe(false);
  });

  test('is told the truth of one that ends by itself, or is destroyed', async () => {
    const vm = await made();
    const one = await use();
    host.engine.end(vm.id);
    await expect.poll(() => one.ended.aborted, { timeout: 5000 }).toBe(true);
    expect(one.ended.reason).toMatchObject({ code: 'vm_lost' });
    await one.release();
    const two = await use();
    await host.vms.destroy(vm.id);
    expect(two.ended.reason).toMatchObject({ code: 'vm_not_running', message: `VM ${vm.id} was destroyed.` });
    await two.release();
  });

  test('is told, too, while it waits for the boot', async () => {
    const vm = await made();
    await host.vms.stop(vm.id);
    const boot = newGate();
    host.engine.bootGate = boot.opened;
    const waiting = use();
    await becomes(vm, 'starting');
    expect(host.vms.usesOf(host.userId)).toBe(1);
    const [told] = await Promise.allSettled([waiting, host.vms.stop(vm.id)]);
    expect(told).toMatchObject({ status: 'rejected', reason: { code: 'vm_not_running' } });
    expect([await state(vm), host.vms.usesOf(host.userId)]).toEqual(['stopped', 0]);
  });
});

describe('a start by hand', () => {
  test.each([
    ['for want of room', 'capacity_exhausted', (): void => void (host.engine.host.memory.availableMib = 0)],
    ['for want of its key', 'home_key_lost', (): void => host.homeKeys.held.clear()],
  ] as const)('is refused %s, and tells so', async (_why, code, hinder) => {
    const vm = await made();
    await host.vms.stop(vm.id);
    hinder();
    await expect(host.vms.start(vm.id)).rejects.toMatchObject({ code });
    expect(await state(vm)).toBe('stopped');
  });

  test('that fails leaves the VM stopped with the reason; the next one forgets it', async () => {
    const vm = await made();
    host.engine.startError = new AppError('vm_boot_failed', 'It cannot boot.');
    await expect(host.vms.restart(vm.id)).rejects.toMatchObject({ code: 'vm_boot_failed' });
    expect(await host.vms.get(vm.id)).toMatchObject({ state: 'stopped', error: { code: 'vm_boot_failed' } });
    host.engine.startError = undefined;
    expect(await host.vms.start(vm.id)).toMatchObject({ error: null });
    await becomes(vm, 'running');
  });
});

test('a stop by hand that breaks off is told, and done again by the sweep or the next start', async () => {
  const vm = await made();
  host.engine.stopError = new AppError('runner_failed', 'The runner does not end.');
  await expect(host.vms.stop(vm.id)).rejects.toMatchObject({ code: 'runner_failed' });
  expect(await state(vm)).toBe('stopping');
  await expect(host.vms.start(vm.id)).rejects.toMatchObject({ code: 'runner_failed' });
  host.engine.stopError = undefined;
  await host.vms.start(vm.id);
  await becomes(vm, 'running');
  expect(host.engine.done).toEqual([`start ${vm.id}`, `stop ${vm.id}`, `start ${vm.id}`]);
});

/** CLI VMs are stopped when nobody uses them and started when somebody does. Real rows; an engine without VMs. */
import { sql } from 'drizzle-orm';
import { expect, test, vi } from 'vitest';
import { AppError } from '@airlock/contract/errors';
import { newId } from '@airlock/contract/ids';
import { addUser, silentLog } from '../store/testing.js';
import { vms } from './table.js';
import type { VmRow } from './vm.js';
import { gate, useVms } from './testing.js';

const idleS = 600;
const never = new AbortController().signal;
const host = useVms({ AIRLOCK_CLI_IDLE_S: String(idleS) });
const { userId } = host;

let decoys = 0;

const made = (): Promise<VmRow> => host.vms.ensureCli(userId, null, () => undefined, never);
const use = (signal = never) => host.vms.useCli(userId, () => undefined, signal);
const state = async (vm: VmRow): Promise<string | undefined> => (await host.vms.get(vm.id))?.state;
/** Moves everything of the past further into it. */
async function pass(seconds: number): Promise<void> {
  const ago = sql.raw(`interval '${seconds} seconds'`);
  await host.database.store.db.execute(
    sql`update ${vms} set created_at = created_at - ${ago}, ready_at = ready_at - ${ago}, last_used_at = last_used_at - ${ago}`,
  );
}
/** Resolves once a sweep has looked at everything: it has stopped a VM of somebody else that was idle at the same time. */
async function sweep(): Promise<void> {
  const other = newId('usr');
  decoys += 1;
  await addUser(host.database.store.db, other, other, 20_000 + decoys);
  const timings = { vncMs: null, agentMs: null, readyMs: null };
  const decoy = { id: newId('vm'), userId: other, kind: 'cli' as const, state: 'running' as const, timings };
  const row = { ...decoy, imageId: 'img_000000', accel: 'tcg' as const, createdAt: new Date(0) };
  await host.database.store.db.insert(vms).values(row);
  await expect.poll(async () => (await host.vms.get(decoy.id))?.state, { timeout: 10_000 }).toBe('stopped');
}

test('one that nobody uses is stopped, and the next use starts it, with its disk', async () => {
  const vm = await made();
  await pass(idleS + 1);
  await expect.poll(() => state(vm), { timeout: 5000 }).toBe('stopped');
  const again = await use();
  expect(again.vm).toMatchObject({ id: vm.id, state: 'running' });
  expect(again.vm.epoch).toBe(vm.epoch + 1);
  expect(host.engine.done).toEqual([`start ${vm.id}`, `stop ${vm.id}`, `start ${vm.id}`]);
  await again.release();
});

test('one that was made under another accelerator starts under that of the host, with both figures in its row', async () => {
  const vm = await made();
  await pass(idleS + 1);
  await expect.poll(() => state(vm), { timeout: 5000 }).toBe('stopped');
  await host.database.store.db.execute(sql`update ${vms} set accel = 'kvm', count_ms = '{"kvm": 35, "tcg": 300}'`);
  const starts = vi.spyOn(host.engine, 'start');
  const again = await use();
  expect(again.vm).toMatchObject({ accel: 'tcg', countMs: { kvm: null, tcg: 310 }, network: 'user' });
  expect(starts.mock.calls.at(-1)?.[0]).toMatchObject({ accel: 'tcg', bootTimeoutMs: 248_000 });
  await again.release();
});

test('one in use is not stopped, however long that takes; its idle time begins at the end', async () => {
  const vm = await made();
  const [one, two] = [await use(), await use()];
  await pass(10 * idleS);
  await sweep();
  await one.release();
  await pass(10 * idleS);
  await sweep();
  expect(await state(vm)).toBe('running');
  await two.release();
  await sweep();
  expect(await state(vm)).toBe('running');
  await pass(idleS + 1);
  await expect.poll(() => state(vm), { timeout: 10_000 }).toBe('stopped');
});

test('a check that somebody runs in one is a use of it until it answers', async () => {
  const vm = await made();
  const answer = gate();
  vi.spyOn(host.engine, 'client').mockReturnValue({
    call: async () => {
      await answer.opened;
      return { ok: true, exitCode: 0, output: '' };
    },
  } as never);
  const checked = host.vms.runCheck(vm.id, 'proof_codex');
  await expect.poll(() => host.vms.usesOf(userId)).toBe(1);
  await pass(10 * idleS);
  await sweep();
  expect(await state(vm)).toBe('running');
  answer.open();
  expect(await checked).toMatchObject({ ok: true, name: 'proof_codex' });
  expect(host.vms.usesOf(userId)).toBe(0);
  await sweep();
  expect(await state(vm)).toBe('running');
}, 20_000);

test('a sign-in counts as use', async () => {
  const vm = await made();
  host.signingIn.add(userId);
  await pass(10 * idleS);
  await sweep();
  expect(await state(vm)).toBe('running');
  host.signingIn.delete(userId);
  await expect.poll(() => state(vm), { timeout: 5000 }).toBe('stopped');
}, 20_000);

test('uses that come while it is being stopped wait for its end, then share one start', async () => {
  const vm = await made();
  let stopNow = (): void => undefined;
  const gate = new Promise<void>((resolve) => (stopNow = resolve));
  host.engine.stopGate = () => gate;
  await pass(idleS + 1);
  await expect.poll(() => state(vm), { timeout: 5000 }).toBe('stopping');
  const users = [use(), use(), use()];
  stopNow();
  for (const { vm: found, release } of await Promise.all(users)) {
    expect(found).toMatchObject({ id: vm.id, state: 'running', epoch: vm.epoch + 1 });
    await release();
  }
  expect(host.engine.done).toEqual([`start ${vm.id}`, `stop ${vm.id}`, `start ${vm.id}`]);
});

test('a start that fails is told to everybody who waits, the disk is kept, and the next use tries again', async () => {
  const vm = await made();
  await host.vms.stopAll();
  host.engine.startError = new AppError('vm_boot_failed', 'It cannot boot.');
  const results = await Promise.allSettled([use(), use()]);
  expect(results.map((result) => (result.status === 'rejected' ? result.reason : result))).toMatchObject([
    { code: 'vm_boot_failed' },
    { code: 'vm_boot_failed' },
  ]);
  expect(await state(vm)).toBe('stopped');
  host.engine.startError = undefined;
  await (await use()).release();
  expect(await state(vm)).toBe('running');
});

const stopFails = new AppError('runner_failed', 'The runner does not end.');

test('a stop that breaks off is told in the log and tried again; what waits for the VM goes on after it', async () => {
  const told = vi.spyOn(silentLog, 'error');
  const vm = await made();
  host.engine.stopError = stopFails;
  await pass(idleS + 1);
  const tries = (): number => told.mock.calls.filter(([, text]) => text?.includes('trying again')).length;
  await expect.poll(tries, { timeout: 10_000 }).toBeGreaterThan(1);
  expect(told.mock.lastCall?.[0]).toEqual({ err: stopFails, vmId: vm.id });
  told.mockRestore();
  expect(await state(vm)).toBe('stopping');
  await expect(use()).rejects.toMatchObject({ code: 'runner_failed' });
  host.engine.stopError = undefined;
  await expect.poll(() => state(vm), { timeout: 5000 }).toBe('stopped');
  const again = await use();
  expect(again.vm).toMatchObject({ id: vm.id, state: 'running', epoch: vm.epoch + 1 });
  await again.release();
  expect(host.engine.done).toEqual([`start ${vm.id}`, `stop ${vm.id}`, `start ${vm.id}`]);
});

test('a start that fails and cannot be cleaned up is told as what it is, and cleaned up later', async () => {
  const vm = await made();
  await host.vms.stopAll();
  host.engine.startError = new AppError('vm_boot_failed', 'It cannot boot.');
  host.engine.stopError = stopFails;
  await expect(use()).rejects.toMatchObject({ code: 'vm_boot_failed' });
  host.engine.startError = undefined;
  host.engine.stopError = undefined;
  await expect.poll(() => state(vm), { timeout: 5000 }).toBe('stopped');
  expect((await host.vms.get(vm.id))?.error).toMatchObject({ code: 'vm_boot_failed' });
  await (await use()).release();
  expect(await state(vm)).toBe('running');
});

test('a use makes no CLI VM, and can be given up while it waits', async () => {
  await expect(use()).rejects.toMatchObject({ code: 'not_found' });
  expect(await host.vms.list(userId)).toEqual([]);
  const vm = await made();
  await host.vms.stopAll();
  let startNow = (): void => undefined;
  host.engine.startGate = new Promise((resolve) => (startNow = resolve));
  const cancel = new AbortController();
  const waiting = use(cancel.signal);
  await expect.poll(() => state(vm)).toBe('starting');
  cancel.abort();
  await expect(waiting).rejects.toMatchObject({ code: 'aborted' });
  startNow();
  await expect.poll(() => state(vm), { timeout: 5000 }).toBe('running');
  // Nobody uses it any more: it is stopped in its time.
  await pass(idleS + 1);
  await expect.poll(() => state(vm), { timeout: 10_000 }).toBe('stopped');
});

test('a restarted controller goes on to count', async () => {
  const vm = await made();
  await (await use()).release();
  await host.restart();
  await host.vms.reconcile();
  await pass(idleS - 60);
  await sweep();
  expect(await state(vm)).toBe('running');
  await pass(61);
  await expect.poll(() => state(vm), { timeout: 10_000 }).toBe('stopped');
});

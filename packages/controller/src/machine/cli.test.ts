/** CLI VMs are stopped when nobody uses them and started when somebody does. Real rows; an engine without VMs. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eq, sql } from 'drizzle-orm';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { AppError } from '@airlock/contract/errors';
import { createJsonClient } from '@airlock/contract/http-client';
import { newId } from '@airlock/contract/ids';
import { readSettings } from '@airlock/contract/settings';
import type { Images } from '../image/image.js';
import { authSessions, users, vms } from '../store/schema.js';
import { openEmbeddedTestStore, silentLog, type TestStore } from '../store/testing.js';
import { createMachines } from './create.js';
import type { Machines, VmRow } from './machine.js';
import { createTestEngine, type TestEngine } from './testing.js';

const userId = newId('usr');
const idleS = 600;
const never = new AbortController().signal;
const client = createJsonClient({ baseUrl: 'http://127.0.0.1:1', unreachable: 'guest_unreachable', name: 'nobody' });

let decoys = 0;
let database: TestStore;
let engine: TestEngine;
let machines: Machines;
/** A controller's machines on what is there already. */
let start: () => Machines;

beforeAll(async () => {
  database = await openEmbeddedTestStore();
}, 120_000);
afterAll(() => database.close(), 30_000);

beforeEach(async () => {
  await database.empty();
  await database.store.db.insert(users).values({ id: userId, name: 'ada', role: 'user', proxyPort: 10001 });
  const disk = join(database.home, 'rootfs.ext4');
  await writeFile(disk, randomBytes(1000));
  const image = { folder: database.home, kernel: disk, initrd: disk, rootfs: disk, manifest: { id: 'img_000000' } };
  engine = createTestEngine(database.home, client);
  const images = { current: async () => image, get: async () => image } as never;
  start = () => create(images);
  machines = start();
});
afterEach(() => machines.close());

function create(images: Images): Machines {
  return createMachines({
    store: database.store,
    engine,
    images,
    secrets: { sealing: (work) => work(async (_purpose, secret) => secret), open: async (_purpose, sealed) => sealed },
    host: { accel: 'tcg', accelReason: 'a test' },
    settings: {
      ...readSettings({ AIRLOCK_HOME: database.home, AIRLOCK_CLI_IDLE_S: String(idleS) }),
      AIRLOCK_VM_MEMORY_MIB: 1,
    },
    log: silentLog,
  });
}

const made = (): Promise<VmRow> => machines.ensureCli(userId, null, () => undefined, never);
const use = (signal = never) => machines.useCli(userId, () => undefined, signal);
const state = async (vm: VmRow): Promise<string | undefined> => (await machines.get(vm.id))?.state;
/** Moves everything of the past further into it. */
async function pass(seconds: number): Promise<void> {
  const ago = sql.raw(`interval '${seconds} seconds'`);
  await database.store.db.execute(
    sql`update vms set created_at = created_at - ${ago}, ready_at = ready_at - ${ago}, last_used_at = last_used_at - ${ago}`,
  );
  await database.store.db.execute(sql`update auth_sessions set updated_at = updated_at - ${ago}`);
}
/** Resolves once a sweep has looked at everything: it has stopped a VM of somebody else that was idle at the same time. */
async function sweep(): Promise<void> {
  const other = { id: newId('usr'), name: newId('usr'), role: 'user' as const, proxyPort: 20_000 + decoys };
  decoys += 1;
  await database.store.db.insert(users).values(other);
  const timings = { vncMs: null, agentMs: null, readyMs: null };
  const decoy = { id: newId('vm'), userId: other.id, kind: 'cli' as const, state: 'running' as const, timings };
  const row = { ...decoy, imageId: 'img_000000', accel: 'tcg' as const, createdAt: new Date(0) };
  await database.store.db.insert(vms).values(row);
  await expect.poll(async () => (await machines.get(decoy.id))?.state, { timeout: 10_000 }).toBe('stopped');
}

test('one that nobody uses is stopped, and the next use starts it, with its disk', async () => {
  const vm = await made();
  await pass(idleS + 1);
  await expect.poll(() => state(vm), { timeout: 5000 }).toBe('stopped');
  const again = await use();
  expect(again.vm).toMatchObject({ id: vm.id, state: 'running' });
  expect(again.vm.epoch).toBe(vm.epoch + 1);
  expect(engine.done).toEqual([`start ${vm.id}`, `stop ${vm.id}`, `start ${vm.id}`]);
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

test('a sign-in under way, or just ended, counts as use', async () => {
  const vm = await made();
  const session = { id: newId('ses'), userId, provider: 'codex' as const, steps: [] };
  await database.store.db.insert(authSessions).values({ ...session, status: 'awaiting_user_auth' });
  await pass(10 * idleS);
  await sweep();
  expect(await state(vm)).toBe('running');
  const ended = { status: 'completed' as const, updatedAt: new Date() };
  await database.store.db.update(authSessions).set(ended).where(eq(authSessions.id, session.id));
  await pass(idleS - 60);
  await sweep();
  expect(await state(vm)).toBe('running');
  await pass(61);
  await expect.poll(() => state(vm), { timeout: 5000 }).toBe('stopped');
}, 20_000);

test('uses that come while it is being stopped wait for its end, then share one start', async () => {
  const vm = await made();
  let stopNow = (): void => undefined;
  engine.stopGate = new Promise((resolve) => (stopNow = resolve));
  await pass(idleS + 1);
  await expect.poll(() => state(vm), { timeout: 5000 }).toBe('stopping');
  const users = [use(), use(), use()];
  stopNow();
  for (const { vm: found, release } of await Promise.all(users)) {
    expect(found).toMatchObject({ id: vm.id, state: 'running', epoch: vm.epoch + 1 });
    await release();
  }
  expect(engine.done).toEqual([`start ${vm.id}`, `stop ${vm.id}`, `start ${vm.id}`]);
});

test('a start that fails is told to everybody who waits, the disk is kept, and the next use tries again', async () => {
  const vm = await made();
  await machines.stopAll();
  engine.startError = new AppError('vm_boot_failed', 'It cannot boot.');
  const results = await Promise.allSettled([use(), use()]);
  expect(results.map((result) => (result.status === 'rejected' ? result.reason : result))).toMatchObject([
    { code: 'vm_boot_failed' },
    { code: 'vm_boot_failed' },
  ]);
  expect(await state(vm)).toBe('stopped');
  engine.startError = undefined;
  await (await use()).release();
  expect(await state(vm)).toBe('running');
});

test('a use makes no CLI VM, and can be given up while it waits', async () => {
  await expect(use()).rejects.toMatchObject({ code: 'not_found' });
  expect(await machines.list(userId)).toEqual([]);
  const vm = await made();
  await machines.stopAll();
  let startNow = (): void => undefined;
  engine.startGate = new Promise((resolve) => (startNow = resolve));
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
  await machines.close();
  machines = start();
  await machines.reconcile();
  await pass(idleS - 60);
  await sweep();
  expect(await state(vm)).toBe('running');
  await pass(61);
  await expect.poll(() => state(vm), { timeout: 10_000 }).toBe('stopped');
});

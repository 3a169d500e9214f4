/** A file into a home: the VM that is made of it, and that nothing changes before it is whole. Real rows and files; an engine without VMs. */
import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { AppError } from '@airlock/contract/errors';
import { homePaths } from '@airlock/contract/home';
import { newId } from '@airlock/contract/ids';
import { addUser } from '../../store/testing.js';
import * as rows from '../rows.js';
import { useVms } from '../testing.js';
import type { RestoreRequest, VmRow } from '../vm.js';
import {
  each,
  exampleHome,
  homeBytes,
  makeBackup,
  passphrase,
  useRealHomes,
  whole,
  type RealHomes,
} from '../testing/homes.js';

const never = new AbortController().signal;
const host = useVms({ AIRLOCK_CLI_UPDATE: 'manual' });
let homes: RealHomes;
let named: string[];
beforeEach(async () => {
  homes = await useRealHomes(host);
  named = [];
});

const ownerOf = async (name: string): Promise<string> => {
  named.push(name);
  return host.userId;
};
const restore = (file: Uint8Array | AsyncIterable<Uint8Array>, more: Partial<RestoreRequest> = {}): Promise<VmRow> => {
  const source = file instanceof Uint8Array ? each([file]) : file;
  return host.vms.restore(source, { passphrase, replace: false, ownerOf, ...more });
};
const made = (): Promise<VmRow> => host.vms.ensureCli(host.userId, null, () => undefined, never);
const use = () => host.vms.useCli(host.userId, () => undefined, never);
const live = (): Promise<VmRow | undefined> => host.vms.cliOf(host.userId);
const folders = (): Promise<string[]> => readdir(homePaths(host.database.home).vms);
/** Nothing is there that no row explains. */
async function isTidy(): Promise<boolean> {
  const known = new Set((await host.vms.list(null)).filter(({ state }) => state !== 'failed').map(({ id }) => id));
  return (await host.engine.lost(known)).length === 0;
}

async function diskOf({ extents, sizeBytes }: Awaited<ReturnType<typeof makeBackup>>): Promise<Buffer> {
  const disk = Buffer.alloc(sizeBytes);
  for (const { at, bytes } of extents) disk.set(bytes, at);
  return disk;
}

test('a user without a CLI VM gets one, which stands still, with the home, its key and a fresh root', async () => {
  const backup = await makeBackup();
  host.imageId = 'img_000001';
  const row = await restore(backup.file);
  expect(row).toMatchObject({
    state: 'stopped',
    kind: 'cli',
    userId: host.userId,
    imageId: 'img_000001',
    rootNumber: 1,
  });
  expect(row).toMatchObject({ rootUpdate: null, error: null, sessionId: null, destroyAt: null });
  expect(named).toEqual(['ada']);
  expect((await homes.read(row.id)).equals(await diskOf(backup))).toBe(true);
  expect(host.homeKeys.held).toEqual(new Map([[row.id, backup.homeKey]]));
  expect(host.engine.steps).toEqual([`root 1 ${row.id}`]);
  const using = await use();
  expect(using.vm).toMatchObject({ id: row.id, state: 'running' });
  await using.release();
});

test('what a backup of a VM is made of is what a restored VM has', async () => {
  const vm = await made();
  const before = await homes.read(vm.id);
  const key = host.homeKeys.held.get(vm.id);
  const file = await whole(await host.vms.backup(vm.id, { passphrase, now: false, user: 'ada' }));
  const row = await restore(file, { replace: true });
  expect((await homes.read(row.id)).equals(before)).toBe(true);
  expect(host.homeKeys.held).toEqual(new Map([[row.id, key]]));
  expect(await host.vms.get(vm.id)).toMatchObject({ state: 'destroyed' });
  expect(await folders()).toEqual(expect.arrayContaining([row.id]));
  expect(await isTidy()).toBe(true);
});

test('of two that come at one moment, and a disk for one of them, one is refused before anything of it is written', async () => {
  const { file } = await makeBackup();
  const ben = newId('usr');
  await addUser(host.database.store.db, ben, 'ben', 10_002);
  const mib = 1024 * 1024;
  const freeMib = 512 + Math.ceil((homeBytes + host.rootBytes) / mib);
  host.engine.host = { ...host.engine.host, disk: { path: '/', freeMib }, vms: [] };
  const all = await Promise.allSettled([restore(file), restore(file, { ownerOf: async () => ben })]);
  expect(all.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  for (const one of all) if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'disk_full' });
  expect(await isTidy()).toBe(true);
  // What has arrived is counted as what it is then, and not for ever as coming.
  await expect(restore(file, { replace: true })).resolves.toMatchObject({ state: 'stopped' });
});

describe('the CLI VM that is there', () => {
  test('stays, and the backup is not even read, unless it is to be replaced', async () => {
    const vm = await made();
    const { file } = await makeBackup([{ at: 0, bytes: randomBytes(300_000) }]);
    async function* beginning(): AsyncGenerator<Uint8Array> {
      yield file.subarray(0, 100_000);
      throw new Error('It was read on.');
    }
    const wrong = { code: 'vm_exists', hint: expect.stringContaining('--replace') };
    await expect(restore(beginning())).rejects.toMatchObject(wrong);
    expect(await live()).toEqual(vm);
  });

  test('stays in use until all of the backup is there', async () => {
    const vm = await made();
    const { file } = await makeBackup([{ at: 0, bytes: randomBytes(300_000) }]);
    const using = await use();
    let states: unknown;
    async function* watched(): AsyncGenerator<Uint8Array> {
      yield file.subarray(0, -1);
      states = [await live(), using.ended.aborted, await folders(), await host.vms.lostFolders()];
      yield file.subarray(-1);
    }
    const row = await restore(watched(), { replace: true });
    expect(states).toMatchObject([{ id: vm.id, state: 'running' }, false, { length: 2 }, []]);
    expect(using.ended.aborted).toBe(true);
    await using.release();
    expect(await live()).toEqual(row);
    expect(host.homeKeys.held.has(vm.id)).toBe(false);
  });

  test('that came meanwhile stays', async () => {
    const { file } = await makeBackup();
    let vm: VmRow | undefined;
    async function* late(): AsyncGenerator<Uint8Array> {
      yield file.subarray(0, -1);
      vm = await made();
      yield file.subarray(-1);
    }
    await expect(restore(late())).rejects.toMatchObject({ code: 'vm_exists' });
    expect(await live()).toMatchObject({ id: vm?.id, state: 'running' });
    expect(await isTidy()).toBe(true);
  });

  test('is one for everybody who asks while another takes its place', async () => {
    const vm = await made();
    const { file } = await makeBackup();
    let open = (): void => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    host.engine.stopGate = (vmId) => (vmId === vm.id ? opened : undefined);
    const restoring = restore(file, { replace: true });
    await expect.poll(async () => (await host.vms.get(vm.id))?.state).toBe('destroying');
    const using = use();
    open();
    const row = await restoring;
    expect((await using).vm).toMatchObject({ id: row.id, state: 'running' });
    await (await using).release();
  });
});

describe('nothing changes', () => {
  const cases: [string, (file: Buffer) => Buffer | AsyncIterable<Uint8Array>, object][] = [
    ['by a file that was cut', (file) => file.subarray(0, -1), { code: 'backup_invalid' }],
    ['by one that was cut to its head', (file) => file.subarray(0, 300), { code: 'backup_invalid' }],
    ['by one that was altered at its end', (file) => flipped(file, file.length - 5), { code: 'backup_invalid' }],
    ['by something else', () => Buffer.from('something else'), { code: 'backup_invalid' }],
    ['by an upload that breaks off', broken, { code: 'aborted' }],
  ];
  test.each(cases)('%s', async (_what, spoil, wrong) => {
    const vm = await made();
    const before = await homes.read(vm.id);
    const { file } = await makeBackup();
    await expect(restore(spoil(file), { replace: true })).rejects.toMatchObject(wrong);
    expect(await live()).toEqual(vm);
    expect((await homes.read(vm.id)).equals(before)).toBe(true);
    expect(await isTidy()).toBe(true);
  });

  test('by another passphrase', async () => {
    const { file } = await makeBackup();
    const wrong = { code: 'backup_invalid', message: expect.not.stringContaining('another passphrase') };
    await expect(restore(file, { passphrase: 'another passphrase' })).rejects.toMatchObject(wrong);
    expect([await live(), named, await isTidy()]).toEqual([undefined, [], true]);
  });

  test('for a user who may not', async () => {
    const { file } = await makeBackup();
    const refused = (): Promise<never> => Promise.reject(new AppError('not_found', 'No such user.'));
    await expect(restore(file, { ownerOf: refused })).rejects.toMatchObject({ code: 'not_found' });
    expect([await live(), await isTidy()]).toEqual([undefined, true]);
  });

  test('without room on the disk, or beyond what a home may be', async () => {
    const vm = await made();
    const { file } = await makeBackup();
    host.engine.host = { ...host.engine.host, disk: { path: '/', freeMib: 520 } };
    await expect(restore(file, { replace: true })).rejects.toMatchObject({ code: 'disk_full' });
    const gib = 1024 ** 3;
    const large = await makeBackup(exampleHome(5 * gib), 5 * gib);
    const tooLarge = { code: 'invalid_request', hint: expect.stringContaining('AIRLOCK_HOME_DISK_GIB to 5') };
    await expect(restore(large.file, { replace: true })).rejects.toMatchObject(tooLarge);
    expect([await live(), await isTidy()]).toEqual([vm, true]);
  });

  test('when no root can be made', async () => {
    const vm = await made();
    const { file } = await makeBackup();
    host.engine.createRoot = () => Promise.reject(new AppError('disk_full', 'No room.'));
    await expect(restore(file, { replace: true })).rejects.toMatchObject({ code: 'disk_full' });
    expect([await live(), await isTidy()]).toEqual([vm, true]);
  });
});

describe('a controller that ends in the middle', () => {
  test('of the backup leaves the VM that is there, and half a disk that goes with the next one', async () => {
    const vm = await made();
    const { file } = await makeBackup();
    // As SIGKILL leaves it: what was received is not taken away any more.
    host.engine.remove = async () => undefined;
    host.engine.createRoot = () => Promise.reject(new AppError('internal', 'Killed.'));
    await expect(restore(file, { replace: true })).rejects.toMatchObject({ code: 'internal' });
    expect(await isTidy()).toBe(false);
    await host.restart();
    await host.vms.reconcile();
    expect([await isTidy(), await live()]).toMatchObject([true, { id: vm.id }]);
    expect(await folders()).toEqual([vm.id]);
  });

  test('of the last steps leaves no VM, and a user who can restore again', async () => {
    const { file } = await makeBackup();
    const id = newId('vm');
    const { db } = host.database.store;
    // As SIGKILL leaves it between the row and the word that it is whole.
    const values = { id, userId: host.userId, sessionId: null, destroyAt: null, kind: 'cli', accel: 'tcg' } as const;
    await rows.insert({ db }, { ...values, imageId: 'img_000000', rootNumber: 1 });
    await host.homeKeys.sealHomeKey(id);
    await homes.write(id, homeBytes, exampleHome());
    await host.restart();
    await host.vms.reconcile();
    expect(await host.vms.get(id)).toMatchObject({ state: 'failed', error: { code: 'vm_lost' } });
    expect([host.homeKeys.held.size, await isTidy(), await live()]).toEqual([0, true, undefined]);
    expect(await restore(file)).toMatchObject({ state: 'stopped' });
  });

  test('a fault in the last steps leaves nothing but its word', async () => {
    const { file } = await makeBackup();
    host.homeKeys.sealHomeKey = () => Promise.reject(new AppError('vault_key_invalid', 'No key.'));
    await expect(restore(file)).rejects.toMatchObject({ code: 'vault_key_invalid' });
    const [row] = await host.vms.list(host.userId);
    expect(row).toMatchObject({ state: 'failed', error: { code: 'vault_key_invalid' } });
    expect([await live(), await isTidy()]).toEqual([undefined, true]);
  });
});

const flipped = (file: Buffer, at: number): Buffer =>
  Buffer.concat([file.subarray(0, at), Buffer.from([(file[at] ?? 0) ^ 1]), file.subarray(at + 1)]);

async function* broken(file: Buffer): AsyncGenerator<Uint8Array> {
  yield file.subarray(0, 2000);
  throw new AppError('aborted', 'The upload broke off.');
}

/** A VM's own disk: whole or not there, and apart from the image. */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { homePaths } from '@airlock/contract/home';
import { newId } from '@airlock/contract/ids';
import { rootFile } from '@airlock/contract/runner';
import { createLocalEngine } from './local.js';
import type { Engine } from './engine.js';

const never = new AbortController().signal;
const vmId = newId('vm');
const root = { number: 1, imageId: 'img_202601011200abcdef01' };
let home: string;
let rootfs: string;
let engine: Engine;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'airlock-disk-'));
  rootfs = join(home, 'rootfs');
  await writeFile(rootfs, randomBytes(100_000));
  await truncate(rootfs, 50_000_000);
  engine = createLocalEngine({
    settings: { AIRLOCK_HOME: home, AIRLOCK_SECRETS_ON_DISK: 'no' },
    imageFiles: async () => ({ kernel: rootfs, initrd: rootfs, rootfs }),
    tscKhz: null,
  });
});
afterEach(async () => {
  await engine.close();
  await rm(home, { recursive: true });
});

test('a disk is a full copy of the image, whose holes stay holes', async () => {
  await engine.createRoot(vmId, root, { low: false, signal: never });
  const disk = join(homePaths(home).vm(vmId), rootFile(root));
  expect((await readFile(disk)).equals(await readFile(rootfs))).toBe(true);
  const [copy, source] = await Promise.all([stat(disk), stat(rootfs)]);
  expect(copy.ino).not.toBe(source.ino);
  expect(copy.blocks * 512).toBeLessThan(1_000_000);
  await engine.remove(vmId);
  expect(await readdir(homePaths(home).vm(vmId))).toEqual([]);
});

test('nothing is there of one that was given up', async () => {
  const signal = AbortSignal.abort();
  await expect(engine.createRoot(vmId, root, { low: true, signal })).rejects.toBeDefined();
  expect(await readdir(homePaths(home).vm(vmId))).toEqual([]);
  expect(await engine.lost(new Set())).toEqual([]);
});

test('the logs of a VM go when they are old enough, nobody knows the VM any more, and nothing else is there', async () => {
  const { vm, vmFile } = homePaths(home);
  const [old, young, kept, holding] = [newId('vm'), newId('vm'), newId('vm'), newId('vm')];
  const longAgo = new Date(Date.now() - 40 * 86_400_000);
  for (const id of [old, young, kept, holding]) {
    await mkdir(vm(id), { recursive: true });
    await writeFile(vmFile(id, 'serialLog'), 'log');
    if (id === holding) await writeFile(vmFile(id, 'disk'), 'disk');
    if (id !== young) for (const path of [vmFile(id, 'serialLog'), vm(id)]) await utimes(path, longAgo, longAgo);
  }
  // Its logs are old, but it was removed just now: the folder says so.
  await utimes(vmFile(young, 'serialLog'), longAgo, longAgo);
  expect(await engine.prune(new Set([kept]), new Date(Date.now() - 30 * 86_400_000))).toEqual([old]);
  expect((await readdir(homePaths(home).vms)).sort()).toEqual([young, kept, holding].sort());
});

test('a folder of a VM that nobody knows is found as long as it holds more than logs', async () => {
  await engine.createRoot(vmId, root, { low: false, signal: never });
  expect(await engine.lost(new Set([vmId]))).toEqual([]);
  expect(await engine.lost(new Set())).toEqual([homePaths(home).vm(vmId)]);
});

test('what is no folder of a VM is not lost', async () => {
  const { vms, vm } = homePaths(home);
  await mkdir(join(vms, 'lost+found', 'something'), { recursive: true });
  await writeFile(vm(vmId), 'a file where a folder would be');
  expect(await engine.lost(new Set())).toEqual([]);
});

test('a folder that may not be looked into is lost, and said to be closed', async ({ skip }) => {
  if (process.getuid?.() === 0) skip('Root may look into every folder.');
  const folder = homePaths(home).vm(vmId);
  await mkdir(folder, { recursive: true, mode: 0 });
  expect(await engine.lost(new Set())).toEqual([`${folder} (may not be looked into)`]);
  expect(await engine.prune(new Set(), new Date(Date.now() + 60_000))).toEqual([]);
});

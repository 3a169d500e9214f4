/** What is taken away of VMs, what stays, and for how long. */
import { chmod, mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { homePaths } from '@airlock/contract/home';
import { newId } from '@airlock/contract/ids';
import type { Engine } from './engine.js';
import { openTestEngine } from './testing.js';

const vmId = newId('vm');
let home: string;
let engine: Engine;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'airlock-remove-'));
  engine = openTestEngine(home);
});
afterEach(async () => {
  await engine.close();
  await rm(home, { recursive: true });
});

/** Puts files into the folder of a VM. */
async function hold(id: string, ...names: string[]): Promise<void> {
  const folder = homePaths(home).vm(id);
  await mkdir(folder, { recursive: true });
  for (const name of names) await writeFile(join(folder, name), name);
}

test('of a VM that is removed, all disks go, half ones too, and its logs stay', async () => {
  const logs = ['runner.log', 'serial.log', 'spec.json', 'status.json', 'vmm.log'];
  const disks = ['disk.ext4', 'root.0.img_000001.ext4', 'root.7.img_000002.ext4', 'root.8.img_000003.ext4.partial'];
  await hold(vmId, ...logs, ...disks, 'disk.ext4.partial', 'r.sock', 'runner.lock');
  await engine.remove(vmId);
  expect((await readdir(homePaths(home).vm(vmId))).sort()).toEqual(logs);
  await engine.remove(vmId);
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
  await hold(vmId, 'root.1.img_000001.ext4.partial');
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
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0);
  expect(await engine.lost(new Set())).toEqual([`${folder} (may not be looked into)`]);
  expect(await engine.prune(new Set(), new Date(Date.now() + 60_000))).toEqual([]);
  await chmod(folder, 0o700);
});

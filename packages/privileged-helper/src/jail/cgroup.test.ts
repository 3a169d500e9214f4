import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { cgroupProblem, makeCgroups, settingsFor, stepAside } from './cgroup.js';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'airlock-cgroup-'));
});
afterEach(() => rm(root, { recursive: true }));

const limits = { memoryMib: 2048, cpus: 2 };

it('limits memory and processes, and weighs processors and disk, as each version writes it', () => {
  expect(settingsFor(limits).map(({ v1, v2 }) => [v2.file, v2.value, v1.file, v1.value])).toEqual([
    ['memory.max', '3221225472', 'memory.limit_in_bytes', '3221225472'],
    ['pids.max', '512', 'pids.max', '512'],
    ['cpu.weight', '200', 'cpu.shares', '2048'],
    ['io.weight', 'default 100', 'blkio.weight', '500'],
  ]);
});

/** A tree of version 2 whose controllers are these; answers the folder of this process in it. */
async function version2(controllers: string): Promise<string> {
  const own = join(root, /^0::(.*)$/m.exec(await readFile('/proc/self/cgroup', 'utf8'))?.[1] ?? '/');
  await mkdir(own, { recursive: true });
  for (const folder of [root, own]) await writeFile(join(folder, 'cgroup.controllers'), `${controllers}\n`);
  return own;
}

it('makes one below the service under version 2, beside the one that the helper steps into', async () => {
  const own = await version2('cpuset cpu io memory pids');
  await stepAside(root);
  const text = (...names: string[]): Promise<string> => readFile(join(own, ...names), 'utf8');
  expect(await text('helper', 'cgroup.procs')).toBe(String(process.pid));
  expect(await makeCgroups('vm_0123456789abcdef', limits, root)).toEqual([join(own, 'vm_0123456789abcdef')]);
  expect(await text('cgroup.subtree_control')).toBe('+memory +pids +cpu +io');
  expect(await text('vm_0123456789abcdef', 'memory.max')).toBe('3221225472');
});

it('makes one for each controller under version 1', async () => {
  const folders = await makeCgroups('vm_0123456789abcdef', limits, root);
  expect(folders).toEqual(
    ['memory', 'pids', 'cpu', 'blkio'].map((name) => join(root, name, 'airlock', 'vm_0123456789abcdef')),
  );
  expect(await readFile(join(folders[2] ?? '', 'cpu.shares'), 'utf8')).toBe('2048');
});

it('says which controllers are not delegated to the service', async () => {
  await version2('cpu pids');
  await expect(makeCgroups('vm_0123456789abcdef', limits, root)).rejects.toMatchObject({
    code: 'cgroup_unavailable',
    message: expect.stringMatching(/not delegated to .*: memory, io\.$/),
    hint: expect.stringContaining('Delegate=yes'),
  });
});

it('is asked before, and says the same', async () => {
  expect(await cgroupProblem(root)).toMatch(/there is no .*memory.*pids.*cpu.*blkio\.$/);
  for (const name of ['memory', 'pids', 'cpu', 'blkio']) await mkdir(join(root, name));
  expect(await cgroupProblem(root)).toBeNull();
  await version2('cpu pids');
  expect(await cgroupProblem(root)).toMatch(/not delegated to .*: memory, io\.$/);
  await version2('cpu io memory pids');
  expect(await cgroupProblem(root)).toBeNull();
});

it('says so where there are no cgroups to be made', async () => {
  await writeFile(join(root, 'memory'), 'a file in the place of the controller');
  await expect(makeCgroups('vm_0123456789abcdef', limits, root)).rejects.toMatchObject({ code: 'cgroup_unavailable' });
});

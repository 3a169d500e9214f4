import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeCgroups, settingsFor } from './cgroup.js';

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

it('says which controllers are not delegated to the service', async () => {
  const own = join(root, /^0::(.*)$/m.exec(await readFile('/proc/self/cgroup', 'utf8'))?.[1] ?? '/');
  await mkdir(own, { recursive: true });
  for (const folder of [root, own]) await writeFile(join(folder, 'cgroup.controllers'), 'cpu pids\n');
  await expect(makeCgroups('vm_0123456789abcdef', limits, root)).rejects.toMatchObject({
    code: 'cgroup_unavailable',
    message: expect.stringMatching(/not delegated to .*: memory, io\.$/),
    hint: expect.stringContaining('Delegate=yes'),
  });
});

it('says so where there are no cgroups to be made', async () => {
  await writeFile(join(root, 'memory'), 'a file in the place of the controller');
  await expect(makeCgroups('vm_0123456789abcdef', limits, root)).rejects.toMatchObject({ code: 'cgroup_unavailable' });
});

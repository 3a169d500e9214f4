import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { copyFromDisk, labels, makeDisk, readFromDisk } from './disk.js';

const never = new AbortController().signal;
let folder: string;
let content: string;
beforeEach(async () => {
  // A space, which debugfs would take for the end of a name.
  folder = await mkdtemp(join(tmpdir(), 'airlock-disk '));
  content = join(folder, 'content');
  await mkdir(join(content, 'deep'), { recursive: true });
  await writeFile(join(content, 'deep', 'a word'), 'said\n');
  await writeFile(join(content, 'exit-code'), '7\n');
});
afterEach(() => rm(folder, { recursive: true }));

it('gives back what was put on a disk, without a mount', async () => {
  const disk = join(folder, 'results.ext4');
  await makeDisk(disk, { label: labels.results, folder: content, sizeMib: 16 }, never);
  expect((await stat(disk)).size).toBe(16 * 1024 * 1024);
  expect(await readFromDisk(disk, 'exit-code')).toBe('7\n');
  expect(await readFromDisk(disk, 'none')).toBe('');
  const to = join(folder, 'kept');
  await mkdir(to);
  await copyFromDisk(disk, to);
  expect((await readdir(to)).sort()).toEqual(['deep', 'exit-code']);
  expect(await readFile(join(to, 'deep', 'a word'), 'utf8')).toBe('said\n');
});

it('leaves nothing of a disk that is too small', async () => {
  await writeFile(join(content, 'large'), Buffer.alloc(12 * 1024 * 1024, 1));
  const making = makeDisk(join(folder, 'x.ext4'), { label: labels.project, folder: content, sizeMib: 8 }, never);
  await expect(making).rejects.toMatchObject({ code: 'command_failed' });
  expect(await readdir(folder)).toEqual(['content']);
});

import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { replaceFile } from './file.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'al-file-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('replaces a file whole, private from the first moment', async () => {
  const path = join(folder, 'token');
  await replaceFile(path, 'one');
  await replaceFile(path, 'two');
  expect(await readFile(path, 'utf8')).toBe('two');
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readdir(folder)).toEqual(['token']);
});

test('many writers at once leave one whole content and no other file', async () => {
  const path = join(folder, 'state.json');
  const contents = Array.from({ length: 20 }, (_, i) => String(i).repeat(10_000));
  await Promise.all(contents.map((content) => replaceFile(path, content)));
  expect(contents).toContain(await readFile(path, 'utf8'));
  expect(await readdir(folder)).toEqual(['state.json']);
});

test('fails, and leaves nothing, where there is no folder', async () => {
  await expect(replaceFile(join(folder, 'missing', 'x'), 'y')).rejects.toMatchObject({ code: 'ENOENT' });
  expect(await readdir(folder)).toEqual([]);
});

test('a sole writer leaves one unfinished file at most, and uses it again', async () => {
  const path = join(folder, 'status.json');
  await writeFile(`${path}.new`, 'half of what was to be written before a crash', { mode: 0o600 });
  await replaceFile(path, 'whole', { durable: false, soleWriter: true });
  expect(await readFile(path, 'utf8')).toBe('whole');
  expect(await readdir(folder)).toEqual(['status.json']);
});

import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { secretFolderOf } from './spec.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airlock-spec-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

test('the config drive is in memory, in a place of this home’s own, and nothing is made for it yet', async () => {
  vi.stubEnv('XDG_RUNTIME_DIR', folder);
  const dir = await secretFolderOf('vm_1', '/home/one');
  expect(dir).toMatch(new RegExp(`^${folder}/airlock-[0-9a-f]{12}/vm_1$`));
  expect(await secretFolderOf('vm_1', '/home/two')).not.toBe(dir);
  expect(await readdir(folder)).toEqual([]);
});

test('it is below the home where there is no such place', async () => {
  vi.stubEnv('XDG_RUNTIME_DIR', join(folder, 'none'));
  expect(await secretFolderOf('vm_1', '/home/one')).toBe('/home/one/secret/vm_1');
});

test('it is below the home where that place is no folder', async () => {
  const file = join(folder, 'file');
  await writeFile(file, '');
  vi.stubEnv('XDG_RUNTIME_DIR', file);
  expect(await secretFolderOf('vm_1', '/home/one')).toBe('/home/one/secret/vm_1');
});

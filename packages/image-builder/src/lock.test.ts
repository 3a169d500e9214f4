import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { identifyProcess } from '@airlock/contract/process';
import { imagesPaths } from '@airlock/contract/home';
import { takeBuildLock } from './lock.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airlock-lock-'));
});
afterEach(() => rm(folder, { recursive: true }));

const never = (path: string): Promise<void> => Promise.reject(new Error(`${path} must not be removed`));

it('refuses a second build while the first runs, and leaves nothing behind', async () => {
  const release = await takeBuildLock(folder, [], never);
  await expect(takeBuildLock(folder, [], never)).rejects.toMatchObject({ code: 'image_build_failed' });
  await release();
  expect(await readdir(folder)).toEqual([]);
});

it('takes over from a dead builder and removes what it left', async () => {
  const child = spawn('sleep', ['60']);
  const builder = await identifyProcess(child.pid ?? 0);
  child.kill('SIGKILL');
  await once(child, 'exit');
  await writeFile(imagesPaths(folder).buildLock, JSON.stringify({ builder, folders: ['/left/behind'] }));
  const removed: string[] = [];
  const release = await takeBuildLock(folder, ['/mine'], async (path) => void removed.push(path));
  expect(removed).toEqual(['/left/behind']);
  expect(JSON.parse(await readFile(imagesPaths(folder).buildLock, 'utf8'))).toMatchObject({ folders: ['/mine'] });
  await release();
});

it('takes over a lock of a process whose number was given away again', async () => {
  const self = await identifyProcess(process.pid);
  const builder = { ...self, startTicks: (self?.startTicks ?? 0) + 1 };
  await writeFile(imagesPaths(folder).buildLock, JSON.stringify({ builder, folders: [] }));
  const release = await takeBuildLock(folder, [], never);
  await release();
  expect(await readdir(folder)).toEqual([]);
});

it('takes over a lock that it cannot read', async () => {
  await writeFile(imagesPaths(folder).buildLock, 'half');
  const release = await takeBuildLock(folder, [], never);
  await release();
  expect(await readdir(folder)).toEqual([]);
});

/** The engine of this host with real runner processes; none of them comes as far as a VM. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { homePaths } from '@airlock/contract/home';
import { newId } from '@airlock/contract/ids';
import { atLowWeight } from '@airlock/contract/low-weight';
import type { Engine } from './engine.js';
import { createSecretFolders } from './secret-folder.js';
import { openTestEngine } from './testing.js';

const vmId = newId('vm');
let home: string;
let engine: Engine;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'airlock-engine-'));
  engine = openTestEngine(home);
});
afterEach(async () => {
  await engine.close();
  await rm(home, { recursive: true });
});

async function folderOf(id: string): Promise<string> {
  const folder = homePaths(home).vm(id);
  await mkdir(folder, { recursive: true });
  return folder;
}

test('a folder that no runner was started for has no status', async () => {
  await folderOf(vmId);
  expect(await engine.status(vmId)).toBeUndefined();
  await engine.stop(vmId, 0);
});

test.each([true, false])('a runner that was started and has not spoken yet is waited for (low: %s)', async (low) => {
  const folder = await folderOf(vmId);
  const main = fileURLToPath(import.meta.resolve('@airlock/runner/main'));
  // It reads its secrets to their end first, and then finds no spec.
  const words = [process.execPath, main, folder];
  const [file = '', ...args] = low ? atLowWeight(10, words) : words;
  const runner = spawn(file, args, { stdio: ['pipe', 'ignore', 'ignore'] });
  const ended = once(runner, 'exit');
  let answered = false;
  const status = engine.status(vmId).finally(() => (answered = true));
  const other = newId('vm');
  await folderOf(other);
  // This one looks at every process there is as well, and later.
  expect(await engine.status(other)).toBeUndefined();
  expect(answered).toBe(false);
  runner.stdin.end();
  expect(await status).toBeUndefined();
  expect(await ended).toEqual([2, null]);
});

test('files that a crash of the host emptied keep nothing from being stopped and removed', async () => {
  const folder = await folderOf(vmId);
  for (const name of ['status.json', 'spec.json', 'disk.ext4']) await writeFile(join(folder, name), '');
  const folders = createSecretFolders({ AIRLOCK_HOME: home, AIRLOCK_SECRETS_ON_DISK: 'no' });
  const secrets = await folders.placeOf(vmId);
  await folders.make(secrets);
  expect(await engine.status(vmId)).toBeUndefined();
  await engine.stop(vmId, 0);
  await expect(access(secrets)).rejects.toMatchObject({ code: 'ENOENT' });
  await engine.remove(vmId);
  expect(await engine.lost(new Set())).toEqual([]);
});

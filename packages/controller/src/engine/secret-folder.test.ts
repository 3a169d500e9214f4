import { chmod, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { MemoryFolder } from '@airlock/contract/memory-folder';
import { createSecretFolders, type SecretSettings } from './secret-folder.js';

let root: string;
let memory: { path: string };
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'al-secret-'));
  memory = { path: join(root, 'memory') };
  await mkdir(memory.path);
  await mkdir(join(root, 'home'));
});
afterEach(() => rm(root, { recursive: true }));

const settings = (onDisk: 'yes' | 'no' = 'no') => ({
  AIRLOCK_HOME: join(root, 'home'),
  AIRLOCK_SECRETS_ON_DISK: onDisk,
});
const none = { problem: 'There is no folder in memory for secrets: /dev/shm is not there.' };

async function makeSecretFolder(vmId: string, given: SecretSettings, place: MemoryFolder): Promise<string> {
  const folders = createSecretFolders(given, place);
  const folder = await folders.placeOf(vmId);
  await folders.make(folder);
  return folder;
}

test('secrets lie in memory, apart from those of other homes, and go without a trace', async () => {
  const one = await makeSecretFolder('vm_1', settings(), memory);
  const other = await makeSecretFolder('vm_1', { ...settings(), AIRLOCK_HOME: join(root, 'other') }, memory);
  expect(one).toMatch(new RegExp(`^${memory.path}/airlock-[0-9a-f]{12}/vm_1$`));
  expect(other).not.toBe(one);
  expect([(await stat(one)).mode & 0o777, (await stat(dirname(one))).mode & 0o777]).toEqual([0o700, 0o700]);
  const { remove } = createSecretFolders(settings(), memory);
  for (const folder of [one, one, other]) await remove(folder);
  expect(await readdir(memory.path)).toEqual([]);
});

test('without memory a VM is refused, and the disk is taken only when that was asked for', async () => {
  await expect(makeSecretFolder('vm_1', settings(), none)).rejects.toMatchObject({
    code: 'host_unsupported',
    message: none.problem,
    hint: expect.stringContaining('AIRLOCK_SECRETS_ON_DISK=yes') as string,
  });
  expect(await readdir(join(root, 'home'))).toEqual([]);
  expect(await makeSecretFolder('vm_1', settings('yes'), none)).toBe(join(root, 'home', 'secret', 'vm_1'));
});

test('a folder of that name which is open to others is refused', async () => {
  const taken = dirname(await makeSecretFolder('vm_1', settings(), memory));
  await chmod(taken, 0o777);
  await expect(makeSecretFolder('vm_2', settings(), memory)).rejects.toMatchObject({ code: 'host_unsupported' });
  expect(await readdir(taken)).toEqual(['vm_1']);
});

test('the end of the last VM takes nothing from the start of another', async () => {
  const { placeOf, make, remove } = createSecretFolders(settings(), memory);
  const startAndEnd = async (vmId: string): Promise<void> => {
    const folder = await placeOf(vmId);
    for (let round = 0; round < 40; round += 1) {
      await make(folder);
      await remove(folder);
    }
  };
  await Promise.all(['vm_1', 'vm_2', 'vm_3'].map(startAndEnd));
  expect(await readdir(memory.path)).toEqual([]);
});

import { chmod, chown, mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { claimFolder, findMemoryFolder } from './memory-folder.js';

const isRoot = process.getuid?.() === 0;
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'al-memory-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('a folder in memory', () => {
  test('is the first that is memory and may be written to', async () => {
    expect(await findMemoryFolder([join(folder, 'missing'), '/dev/shm'])).toEqual({ path: '/dev/shm' });
  });

  test('is none that is on a disk, is missing or is of others; each is named', async () => {
    const found = await findMemoryFolder([join(folder, 'missing'), '/usr', '/proc/self']);
    expect(found).toEqual({ problem: expect.stringContaining(`${folder}/missing is not there; /usr `) as string });
    expect(found).toEqual({ problem: expect.stringContaining('/proc/self is not memory') as string });
  });
});

describe('claiming a folder of a name that can be guessed', () => {
  test('makes it for this user alone, once and again', async () => {
    const path = join(folder, 'own');
    await claimFolder(path);
    await claimFolder(path);
    expect((await stat(path)).mode & 0o777).toBe(0o700);
  });

  test('refuses one that others may look into', async () => {
    const path = join(folder, 'open');
    await mkdir(path);
    await chmod(path, 0o755);
    await expect(claimFolder(path)).rejects.toMatchObject({
      code: 'host_unsupported',
      message: expect.stringContaining('is open to others (mode 755)') as string,
    });
  });

  test.each([
    ['a link to a folder of this user', (path: string) => symlink(folder, path)],
    ['a file', (path: string) => writeFile(path, '', { mode: 0o600 })],
  ])('refuses %s', async (_name, make) => {
    const path = join(folder, 'taken');
    await make(path);
    await expect(claimFolder(path)).rejects.toMatchObject({
      message: expect.stringContaining('is not a folder') as string,
    });
  });

  // Only root can make a folder that belongs to somebody else.
  test.runIf(isRoot)('refuses one that another user made first', async () => {
    const path = join(folder, 'theirs');
    await mkdir(path, { mode: 0o700 });
    await chown(path, 65534, 65534);
    await expect(claimFolder(path)).rejects.toMatchObject({
      code: 'host_unsupported',
      message: expect.stringContaining('belongs to the user with id 65534') as string,
    });
  });
});

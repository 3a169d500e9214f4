import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tinyRootDisk } from '../fixtures/tiny-guest.js';
import { checkDisks, judgeSuperblock } from './disks.js';

it.each([
  ['a good disk', tinyRootDisk('airlock-root', 1000), 4_096_000, null],
  ['a cut-off disk', tinyRootDisk('airlock-root', 1000), 4_095_999, '4095999 bytes of the 4096000'],
  ['another label', tinyRootDisk('rootfs'), 4096, '"rootfs"'],
  ['zeros', Buffer.alloc(2048), 4096, 'no ext4'],
  ['an empty file', Buffer.alloc(0), 0, 'no ext4'],
])('the superblock of %s', (_name, head, size, words) => {
  const problem = judgeSuperblock(head, size);
  if (words === null) expect(problem).toBeNull();
  else expect(problem).toContain(words);
});

describe('before power-on', () => {
  const vmId = 'vm_0123456789abcdef';
  const imageRoot = { id: 'root', path: 'rootfs.ext4', readOnly: true };
  const ownRoot = { id: 'root', path: 'root.1.img_000001.ext4', readOnly: false };
  const both = { id: 'root', path: 'disk.ext4', readOnly: false };
  const home = { ...both, id: 'home' };
  let folder: string;
  const check = (drives: (typeof home)[]): Promise<void> =>
    checkDisks({ vmId, drives: drives.map((drive) => ({ ...drive, path: join(folder, drive.path) })) });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'airlock-disks-'));
    for (const { path } of [imageRoot, ownRoot, both]) await writeFile(join(folder, path), tinyRootDisk());
    await writeFile(join(folder, 'zeros'), Buffer.alloc(4096));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it.each([
    ['an image', [imageRoot]],
    ['a root and a home', [ownRoot, home]],
    ['a root that is the home, too', [both]],
    ['a home that only the guest can judge', [ownRoot, { ...home, path: 'zeros' }]],
  ])('%s will do', async (_what, drives) => {
    await expect(check(drives)).resolves.toBeUndefined();
  });

  it.each([
    ['image_missing', 'none', 'airlock image build', [{ ...imageRoot, path: 'none' }]],
    ['image_missing', 'none', `airlock vm reset ${vmId}`, [{ ...ownRoot, path: 'none' }, home]],
    ['vm_boot_failed', 'zeros', 'airlock image build', [{ ...imageRoot, path: 'zeros' }]],
    ['vm_boot_failed', 'zeros', `airlock vm reset ${vmId}`, [{ ...ownRoot, path: 'zeros' }, home]],
    ['home_unusable', 'no/disk.ext4', 'airlock vm restore', [ownRoot, { ...home, path: 'no/disk.ext4' }]],
    ['home_unusable', 'no/disk.ext4', 'airlock vm restore', [{ ...both, path: 'no/disk.ext4' }]],
  ])('%s is told of %s, with `%s`', async (code, file, command, drives) => {
    const told = check(drives);
    await expect(told).rejects.toMatchObject({ code, hint: expect.stringContaining(command) as string });
    await expect(told).rejects.toThrow(join(folder, file));
  });
});

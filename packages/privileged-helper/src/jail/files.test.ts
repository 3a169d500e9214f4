import { chmod, link, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { secretFolderOf } from '@airlock/contract/memory-folder';
import type { JailFile } from '@airlock/contract/privileged';
import type { HelperConfig } from '../config.js';
import { lend, openFiles } from './files.js';

const vmId = 'vm_0123456789abcdef';
let home: string;
let config: HelperConfig;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'airlock-files-'));
  const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  const ids = { first: 70000, last: 70001 };
  config = { uid, gid, home, memory: home, run: '/run/none', programs: [], ids };
});
afterEach(() => rm(home, { recursive: true }));

async function place(path: string, text = path): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
  return path;
}

async function textOf(file: JailFile): Promise<string> {
  const [opened] = await openFiles(config, vmId, [file]);
  const text = await opened?.handle.readFile('utf8');
  await opened?.handle.close();
  return text ?? '';
}

it('finds each kind of file where it is in a home, and in memory', async () => {
  const image = join(home, 'images/img_0123456789');
  const root = { number: 3, imageId: 'img_0123456789' };
  const files: [JailFile, string][] = [
    [{ of: 'image', imageId: 'img_0123456789', file: 'kernel' }, join(image, 'vmlinux')],
    [{ of: 'image', imageId: 'img_0123456789', file: 'rootfs' }, join(image, 'rootfs.ext4')],
    [{ of: 'home' }, join(home, 'vm', vmId, 'disk.ext4')],
    [{ of: 'root', ...root }, join(home, 'vm', vmId, 'root.3.img_0123456789.ext4')],
    [{ of: 'config' }, join(secretFolderOf(home, home, vmId), `${vmId}.config`)],
  ];
  for (const [file, path] of files) {
    await place(path);
    expect(await textOf(file)).toBe(path);
  }
});

it('opens home and root for writing, and nothing else', async () => {
  const kinds: [JailFile, string][] = [
    [{ of: 'home' }, join(home, 'vm', vmId, 'disk.ext4')],
    [{ of: 'config' }, join(secretFolderOf(home, home, vmId), `${vmId}.config`)],
  ];
  for (const [, path] of kinds) await place(path);
  const [disk, drive] = await openFiles(
    config,
    vmId,
    kinds.map(([file]) => file),
  );
  await disk?.handle.write('x');
  await expect(drive?.handle.write('x')).rejects.toMatchObject({ code: 'EBADF' });
  await Promise.all([disk?.handle.close(), drive?.handle.close()]);
});

it('refuses a link in the place of a file, a folder, and what belongs to somebody else, also by another name', async () => {
  const disk = join(home, 'vm', vmId, 'disk.ext4');
  await mkdir(dirname(disk), { recursive: true });
  await symlink('/etc/hostname', disk);
  await expect(textOf({ of: 'home' })).rejects.toMatchObject({ code: 'vmm_failed' });
  await rm(disk);
  await mkdir(disk);
  await expect(textOf({ of: 'home' })).rejects.toMatchObject({ code: 'vmm_failed' });
  await rm(disk, { recursive: true });
  await link(await place(join(home, 'of-somebody')), disk);
  config = { ...config, uid: config.uid + 1 };
  await expect(textOf({ of: 'home' })).rejects.toMatchObject({ code: 'invalid_request' });
});

it('says which one is missing', async () => {
  await expect(textOf({ of: 'config' })).rejects.toMatchObject({
    code: 'vmm_failed',
    message: expect.stringContaining(`${vmId}.config`),
  });
});

it.each([
  ['a disk', { of: 'home' }, 0o660],
  ['the config drive', { of: 'config' }, 0o640],
  ['a VM that is to be saved', { of: 'saved', savedId: 'sav_0123456789abcdef', file: 'memory', write: true }, 0o660],
  ['a VM that others load, too', { of: 'saved', savedId: 'sav_0123456789abcdef', file: 'memory', write: false }, 0o604],
  ['an image', { of: 'image', imageId: 'img_0123456789', file: 'rootfs' }, 0o604],
] as [string, JailFile, number][])(
  'lends %s to the group of its VMM, or to all that read it, and to no other user',
  async (_, file, mode) => {
    const paths = [
      join(home, 'vm', vmId, 'disk.ext4'),
      join(home, 'saved/sav_0123456789abcdef/memory'),
      join(home, 'images/img_0123456789/rootfs.ext4'),
      join(secretFolderOf(home, home, vmId), `${vmId}.config`),
    ];
    for (const path of paths) await chmod(await place(path), 0o600);
    const [opened] = await openFiles(config, vmId, [file]);
    if (!opened) throw new Error('Nothing was opened.');
    await lend(opened, config.gid);
    const found = await opened.handle.stat();
    await opened.handle.close();
    expect([found.mode & 0o7777, found.uid, found.gid]).toEqual([mode, config.uid, config.gid]);
  },
);

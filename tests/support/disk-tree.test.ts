import { copyFile, link, mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { run } from '@airlock/contract/process';
import { readDiskTree, type DiskTree } from './disk-tree.js';

let folder: string;
let disk: string;
let tree: DiskTree;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'al-tree-'));
  disk = join(folder, 'disk');
  const home = join(folder, 'files/home');
  await mkdir(join(home, 'deep/deeper'), { recursive: true });
  await writeFile(join(home, 'deep/deeper/file'), 'one');
  await link(join(home, 'deep/deeper/file'), join(home, 'hard'));
  await symlink('deep/deeper/file', join(home, 'soft'));
  await writeFile(join(home, 'sparse'), '');
  await truncate(join(home, 'sparse'), 3_000_000);
  await writeFile(join(folder, 'files/beside'), 'not below it');
  await writeFile(disk, '');
  await truncate(disk, 8 * 1024 ** 2);
  await run('mkfs.ext4', ['-q', '-F', '-d', join(folder, 'files'), disk]);
  tree = await readDiskTree(disk, '/home');
});
afterAll(() => rm(folder, { recursive: true }));

it('has each file and folder below the top once, and nothing beside it', async () => {
  // The top, two folders, the file with two names, the link, the sparse file.
  expect(tree.size).toBe(6);
  expect([...tree.values()].filter((about) => about.includes('Fast link dest: "deep/deeper/file"'))).toHaveLength(1);
  expect(await readDiskTree(disk, [...tree.keys()][0] ?? 0)).toEqual(tree);
});

it.each([
  ['a byte', ['rm /home/sparse', 'write OTHER /home/sparse'], true],
  ['a mode', ['set_inode_field /home/hard mode 0100600'], true],
  ['a time', ['set_inode_field /home/soft mtime 20010203'], true],
  ['when it was read', ['set_inode_field /home/hard atime 20010203'], false],
] as const)('shows %s that is another', async (_what, commands, shown) => {
  const changed = join(folder, 'changed');
  const other = join(folder, 'other');
  await copyFile(disk, changed);
  await writeFile(other, 'x'.padEnd(3_000_000, '\0'));
  for (const command of commands) await run('debugfs', ['-w', '-R', command.replace('OTHER', other), changed]);
  const after = await readDiskTree(changed, '/home');
  expect([...after].some(([inode, about]) => tree.get(inode) !== about)).toBe(shown);
});

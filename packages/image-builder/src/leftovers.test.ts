import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { run } from '@airlock/contract/process';
import { findLeftovers } from './leftovers.js';
import { searchPath } from './workspace.js';

/** A file system with these files. */
async function rootfsWith(files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'airlock-leftovers-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const tree = join(folder, 'root');
  for (const path of [
    'tmp',
    'var/tmp',
    'var/log',
    'var/cache/apt/archives/partial',
    'var/lib/apt/lists',
    'home/airlock',
  ])
    await mkdir(join(tree, path), { recursive: true });
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await writeFile(join(tree, path), content);
  }
  const target = join(folder, 'rootfs.ext4');
  await run('mkfs.ext4', ['-q', '-d', tree, target, '8M'], { env: { PATH: searchPath } });
  return target;
}

it('finds nothing in a clean file system', async () => {
  expect(await findLeftovers(await rootfsWith({ 'etc/machine-id': '' }))).toEqual([]);
});

it('names caches, identities and what tells of the machine that built', async () => {
  const rootfs = await rootfsWith({
    'etc/machine-id': '0123456789abcdef\n',
    'etc/apt/sources.list.d/mirror.sources': 'URIs: http://user:pass@mirror.example/',
    'var/cache/apt/archives/less_668-1_amd64.deb': 'x',
    'etc/ssh/ssh_host_ed25519_key': 'x',
    'tmp/npm-1234/x': 'x',
  });
  expect(await findLeftovers(rootfs)).toEqual([
    '/tmp holds npm-1234',
    '/var/cache/apt/archives holds less_668-1_amd64.deb',
    '/etc/apt/sources.list.d holds mirror.sources',
    '/etc/ssh/ssh_host_ed25519_key is there',
    '/etc/machine-id is not empty',
  ]);
});

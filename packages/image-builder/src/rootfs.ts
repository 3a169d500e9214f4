/**
 * Writes the root as an ext4 file system into a sparse file: without root rights, without a mount. It uses the mke2fs that is
 * in the root itself: that of Debian 13 takes names in their order and cuts times off at SOURCE_DATE_EPOCH, so that the
 * same files give the same bytes on every host; older ones do neither.
 */
import { chmod, open } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@airlock/contract/process';
import type { Description } from './description.js';
import { asOwner, searchPath } from './workspace.js';

/** Words before a program of the root, to run it on this host with the root's own libraries. */
export function programOf(root: string, program: string): string[] {
  const loader = join(root, 'usr/lib64/ld-linux-x86-64.so.2');
  return [loader, '--library-path', join(root, 'usr/lib/x86_64-linux-gnu'), join(root, program)];
}

/**
 * Makes `target` from the tree `root`.
 * @returns bytes in use inside the file system.
 */
export async function makeRootfs(
  root: string,
  target: string,
  { rootfs, epoch }: Pick<Description, 'rootfs' | 'epoch'>,
  signal: AbortSignal,
): Promise<number> {
  // A build as root leaves device files there, one by a mapped user cannot; the guest's own hide them.
  await run('env', [...asOwner, 'find', join(root, 'dev'), '-xdev', '-mindepth', '1', '-delete'], {
    cwd: '/',
    env: { PATH: searchPath },
    signal,
  });
  const file = await open(target, 'wx');
  await file.truncate(rootfs.sizeMib * 1024 * 1024);
  await file.close();
  // Open for mapped users too; the folder around it is private.
  await chmod(target, 0o666);
  const identity = ['-L', rootfs.label, '-U', rootfs.uuid];
  // What is not written are holes, which read as zeros: the guest has nothing to zero later.
  const extended = `nodiscard,assume_storage_prezeroed=1,hash_seed=${rootfs.hashSeed}`;
  const mkfs = [...programOf(root, 'usr/sbin/mke2fs'), '-q', '-F', '-t', 'ext4', ...identity];
  const options = ['-O', rootfs.features, '-m', '0', '-E', extended, '-d', root, '/proc/self/fd/3'];
  // The shell opens the file, because a mapped user cannot pass through the folders above it.
  const script = 'target=$1; shift; exec "$@" 3<>"$target"';
  const env = {
    PATH: searchPath,
    LC_ALL: 'C',
    SOURCE_DATE_EPOCH: String(epoch),
    MKE2FS_CONFIG: join(root, 'etc/mke2fs.conf'),
  };
  await run('sh', ['-c', script, 'sh', target, ...asOwner, ...mkfs, ...options], { env, signal });
  await chmod(target, 0o644);
  const { stdout } = await run('dumpe2fs', ['-h', target], { env: { PATH: searchPath }, signal });
  return usedBytes(stdout);
}

/** Bytes in use, given what `dumpe2fs -h` printed. */
export function usedBytes(dump: string): number {
  const value = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)$`, 'm').exec(dump)?.[1] ?? Number.NaN);
  return (value('Block count') - value('Free blocks')) * value('Block size');
}

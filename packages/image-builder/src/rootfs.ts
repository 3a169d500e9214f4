/** Writes the root as an ext4 file system into a sparse file: without root rights, without a mount. */
import { chmod, open } from 'node:fs/promises';
import { run } from '@airlock/contract/process';
import type { Description } from './description.js';
import { asOwner, searchPath } from './workspace.js';

/**
 * Makes `target` from the tree `root`.
 * @returns bytes in use inside the file system.
 */
export async function makeRootfs(
  root: string,
  target: string,
  { label, sizeMib, features }: Description['rootfs'],
  signal: AbortSignal,
): Promise<number> {
  const file = await open(target, 'wx');
  await file.truncate(sizeMib * 1024 * 1024);
  await file.close();
  // Open for mapped users too; the folder around it is private.
  await chmod(target, 0o666);
  const mkfs = ['mkfs.ext4', '-q', '-F', '-L', label, '-O', features, '-m', '0', '-E', 'nodiscard,lazy_itable_init=1'];
  // The shell opens the file, because a mapped user cannot pass through the folders above it.
  const script = 'target=$1; shift; exec "$@" 3<>"$target"';
  await run('sh', ['-c', script, 'sh', target, ...asOwner, ...mkfs, '-d', root, '/proc/self/fd/3'], {
    env: { PATH: searchPath },
    signal,
  });
  await chmod(target, 0o644);
  const { stdout } = await run('dumpe2fs', ['-h', target], { env: { PATH: searchPath }, signal });
  return usedBytes(stdout);
}

/** Bytes in use, given what `dumpe2fs -h` printed. */
export function usedBytes(dump: string): number {
  const value = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)$`, 'm').exec(dump)?.[1] ?? Number.NaN);
  return (value('Block count') - value('Free blocks')) * value('Block size');
}

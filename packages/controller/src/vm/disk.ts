/** The CLI VM's own disk: a full copy of the image's rootfs, never a copy-on-write layer. */
import { rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { run } from '@airlock/contract/process';

/** Bytes that must stay free on the host after a copy, so that logs and database can still be written. */
const reserveBytes = 512 * 1024 * 1024;

/**
 * Whether a copy of `source` below `folder` has room.
 * @throws AppError disk_full
 */
export async function requireRoom(source: string, folder: string): Promise<void> {
  const [{ blocks }, { bavail, bsize }] = await Promise.all([stat(source), statfs(folder)]);
  const needed = blocks * 512 + reserveBytes;
  if (bavail * bsize < needed) throw diskFull(folder, needed, bavail * bsize);
}

/**
 * Copies `source` to `target` (holes stay holes; extents are never shared). The copy appears under its name only when whole.
 * @throws AppError disk_full (nothing is left of the copy), aborted, command_failed
 */
export async function copyDisk(source: string, target: string, signal: AbortSignal): Promise<void> {
  const partial = `${target}.partial`;
  try {
    await run('cp', ['--sparse=always', '--reflink=never', '--', source, partial], { signal, env: { LC_ALL: 'C' } });
    await rename(partial, target);
  } catch (error) {
    await rm(partial, { force: true });
    if (!(error instanceof AppError && /No space left on device/.test(error.message))) throw error;
    throw diskFull(dirname(target), (await stat(source)).blocks * 512, 0);
  }
}

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

function diskFull(folder: string, needed: number, free: number): AppError {
  return new AppError('disk_full', `The disk of a CLI VM needs ${gib(needed)} in ${folder}; ${gib(free)} are free.`, {
    hint: 'Free some space below AIRLOCK_HOME, or remove CLI VMs that nobody uses (`npx airlock vm list`).',
  });
}

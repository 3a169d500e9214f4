/**
 * A lock between processes that the kernel releases when its holder dies, however it dies: flock(2) on a file that stays.
 *
 * Node has no flock; util-linux's program (essential on Debian) takes it on a descriptor that this process passes on. The
 * lock belongs to the open file and not to the program, so it lasts until this process closes the file or ends.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, type FileHandle } from 'node:fs/promises';
import { AppError } from '@airlock/contract/errors';

export interface Lock {
  /** Idempotent. The file stays: removing it would let two processes lock two different files of one name. */
  release(): Promise<void>;
}

/**
 * Takes the lock of `path`, or answers undefined when another process still holds it after `waitS` seconds (0: at once).
 * @throws AppError host_unsupported when the file system or this host cannot lock files.
 */
export async function takeLock(path: string, waitS = 0): Promise<Lock | undefined> {
  const file = await open(path, 'a', 0o600);
  try {
    if (await flock(file, path, waitS)) return { release: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
  await file.close();
  return undefined;
}

const refused = 75;

async function flock(file: FileHandle, path: string, waitS: number): Promise<boolean> {
  const wait = waitS === 0 ? ['-n'] : ['-w', String(waitS)];
  const child = spawn('flock', ['-x', '-E', String(refused), ...wait, '3'], {
    stdio: ['ignore', 'ignore', 'ignore', file.fd],
  });
  const code = await once(child, 'close').then(
    ([exitCode]: (number | null)[]) => exitCode ?? null,
    (error: NodeJS.ErrnoException) => {
      throw new AppError('host_unsupported', `The program flock, which locks ${path}, could not be started.`, {
        hint: 'Install the Debian package util-linux.',
        cause: error,
      });
    },
  );
  if (code === 0) return true;
  if (code === refused) return false;
  throw new AppError('host_unsupported', `Locking ${path} failed: flock ended with exit code ${code}.`, {
    hint: 'AIRLOCK_HOME must be on a file system that supports file locks.',
  });
}

/**
 * Reads and writes files below a folder that its user controls, as root, without being led astray: every component
 * is opened on its own and never through a symbolic link (what openat(2) with O_NOFOLLOW gives elsewhere).
 */
import { constants } from 'node:fs';
import { mkdir, open, rename, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { readOpen } from '@airlock/contract/file';
import type { UserIds } from '../as-user.js';

export interface ReadFileResult {
  content: Buffer;
  mode: number;
}

const folderFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

/** The same for every agent: what one leaves that is killed in the middle of a write, the next write or removal takes away. */
const unfinished = (name: string): string => `.${name}.airlock`;

/** A name inside an open folder, immune to what happens to the path that led there. */
const inside = (folder: FileHandle, name: string): string => `/proc/self/fd/${folder.fd}/${name}`;

function refuse(path: string, error: unknown): AppError {
  return new AppError('credential_invalid', `${path} is not a plain file in plain folders (${codeOf(error)}).`, {
    hint: 'Symbolic links are not followed.',
    cause: error,
  });
}

function full(path: string, error: unknown): AppError {
  return new AppError('disk_full', `The home in the VM has no room left for ${path}.`, {
    hint: 'Remove something in it by a prompt; or set AIRLOCK_HOME_DISK_GIB to more and start the CLI VM again: its home grows.',
    cause: error,
  });
}

function tooLarge(path: string, size: number, limit: number): AppError {
  const mib = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(2)} MiB`;
  return new AppError(
    'credential_invalid',
    `${path} has ${mib(size)} (${size} bytes); at most ${mib(limit)} (${limit} bytes) are read.`,
    {
      hint: 'Make it smaller: let its CLI clear its history, or remove from it what is not needed by a prompt.',
    },
  );
}

async function openChild(parent: FileHandle, name: string, create: UserIds | null): Promise<FileHandle> {
  try {
    return await open(inside(parent, name), folderFlags);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' || create === null) throw error;
  }
  await mkdir(inside(parent, name), { mode: 0o700 });
  const made = await open(inside(parent, name), folderFlags);
  await made.chown(create.uid, create.gid);
  return made;
}

/** Runs `work` with the folder of `path` (relative to `home`) open; missing folders are made when `create` is given. */
async function withParent<T>(
  home: string,
  path: string,
  create: UserIds | null,
  work: (folder: FileHandle, name: string) => Promise<T>,
): Promise<T> {
  const names = path.split('/');
  const last = names.pop() ?? '';
  let folder = await open(home, folderFlags);
  try {
    for (const name of names) {
      const child = await openChild(folder, name, create);
      await folder.close();
      folder = child;
    }
    return await work(folder, last);
  } catch (error) {
    if (codeOf(error) === 'ELOOP' || codeOf(error) === 'ENOTDIR') throw refuse(path, error);
    if (codeOf(error) === 'ENOSPC') throw full(path, error);
    throw error;
  } finally {
    await folder.close();
  }
}

/**
 * A file of the user, or null when there is none.
 * @throws AppError credential_invalid when it is anything but a plain file of at most `limit` bytes
 */
export async function readUserFile(home: string, path: string, limit: number): Promise<ReadFileResult | null> {
  try {
    return await withParent(home, path, null, async (folder, name) => {
      // O_NONBLOCK: a FIFO in this place must not hold the agent up.
      const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
      const file = await open(inside(folder, name), flags);
      try {
        const { mode, nlink } = await file.stat();
        const isPlain = (mode & constants.S_IFMT) === constants.S_IFREG && nlink === 1;
        if (!isPlain) throw new AppError('credential_invalid', `${path} is not a plain file.`);
        // Whatever size it had a moment ago: its user may write to it meanwhile.
        const content = await readOpen(file, limit);
        if (content !== null) return { content, mode: mode & 0o777 };
        throw tooLarge(path, (await file.stat()).size, limit);
      } finally {
        await file.close();
      }
    });
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

/**
 * Replaces a file as a whole, on the disk when this resolves. Folders on the way are made, for the user only.
 * @throws AppError disk_full, and what was there stays; credential_invalid for a path through anything but plain folders
 */
export async function writeUserFile(home: string, path: string, file: ReadFileResult, owner: UserIds): Promise<void> {
  await withParent(home, path, owner, async (folder, name) => {
    const temporary = inside(folder, unfinished(name));
    await unlinkIfThere(temporary);
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const handle = await open(temporary, flags, 0o600);
    try {
      await handle.writeFile(file.content);
      await handle.chown(owner.uid, owner.gid);
      await handle.chmod(file.mode);
      await handle.sync();
      await rename(temporary, inside(folder, name));
    } catch (error) {
      await unlinkIfThere(temporary);
      throw error;
    } finally {
      await handle.close();
    }
    await folder.sync();
  });
}

/**
 * A folder below the home; made, with those on the way, when it is not there. Answers its absolute path.
 * @throws AppError invalid_request when something else is in its place, disk_full
 */
export async function makeUserFolder(home: string, path: string, owner: UserIds): Promise<string> {
  try {
    await withParent(home, `${path}/.`, owner, () => Promise.resolve());
    return join(home, path);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'credential_invalid') throw error;
    throw new AppError('invalid_request', `${path} is not a plain folder in plain folders.`, { cause: error });
  }
}

/** Removes a file; one that is not there is fine. */
export async function removeUserFile(home: string, path: string): Promise<void> {
  try {
    await withParent(home, path, null, async (folder, name) => {
      await unlinkIfThere(inside(folder, unfinished(name)));
      await unlinkIfThere(inside(folder, name));
      await folder.sync();
    });
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

async function unlinkIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

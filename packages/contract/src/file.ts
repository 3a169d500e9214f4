/** Private files and folders: made with their final mode, replaced in one step. The one mechanism for both. */
import { randomUUID } from 'node:crypto';
import { chmod, mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ZodError } from 'zod';

export interface ReplaceOptions {
  /** 0600 unless given. */
  mode?: number;
  /** False: whole for every reader, but after a power cut the old content may be back. For what is written often, or can be had anew. */
  durable?: boolean;
  /** No other process and no other call writes this file at the same time: what a crash left unfinished is used again. */
  soleWriter?: boolean;
}

/** Creates the folder (and its parents) unless it exists, and makes it readable by this user alone. */
export async function makePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  await chmod(path, 0o700);
}

/**
 * Replaces `path` by `content` in one step: a reader finds the old file or the new one, also after a crash. Unless there is a
 * sole writer, any number may write at once: one of them is last.
 */
export async function replaceFile(
  path: string,
  content: string | Uint8Array,
  { mode = 0o600, durable = true, soleWriter = false }: ReplaceOptions = {},
): Promise<void> {
  const temporary = soleWriter ? `${path}.new` : `${path}.${randomUUID()}.new`;
  try {
    const file = await open(temporary, soleWriter ? 'w' : 'wx', mode);
    try {
      await file.writeFile(content);
      if (durable) await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  if (durable) await flush(dirname(path));
}

/** Makes the content of a file, or the names in a folder, durable: a power cut does not take it back. */
export async function flush(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * What stands in a file, as far as it is no more than `limit` bytes: null when it is larger, also when it grows while it is read. No more
 * than that is read. @throws the system's error
 */
export async function readAtMost(path: string, limit: number): Promise<Buffer | null> {
  const file = await open(path, 'r');
  try {
    return await readOpen(file, limit);
  } finally {
    await file.close();
  }
}

/** The same of a file that is open, from its beginning. */
export async function readOpen(file: FileHandle, limit: number): Promise<Buffer | null> {
  // Memory that nothing was written to is none: a large limit costs what the file has.
  const room = Buffer.allocUnsafeSlow(limit + 1);
  let size = 0;
  while (size < room.length) {
    const { bytesRead } = await file.read(room, size, room.length - size, size);
    if (bytesRead === 0) return Buffer.from(room.subarray(0, size));
    size += bytesRead;
  }
  return null;
}

/** For `catch` after looking at a file: one that is not there is null, anything else is still an error. */
export function nullIfAbsent(error: unknown): null {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
  throw error;
}

/** What `parse` makes of a text; null for one that no version of Airlock writes, such as a crash of the host leaves. */
export function parseOrNull<T>(text: string, parse: (text: string) => T): T | null {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof ZodError) return null;
    throw error;
  }
}

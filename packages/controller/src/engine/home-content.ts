/** The disk of a home, read and written whole but for its holes. */
import { open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { flush, makePrivateFolder } from '@airlock/contract/file';
import { partialEnding, runnerFiles } from '@airlock/contract/runner';
import { dataRanges, type DataRange } from '@airlock/contract/sparse-file';
import type { EngineContext } from './context.js';
import { diskFull, homeUnusable, isFull } from './disk.js';
import type { Engine, Extent, HomeContent } from './engine.js';
import { nullIfClosed, unknownIn } from './remove.js';

/** Bytes that are read at once; and those that are left out when all of them are zeros, as the file systems of hosts do. */
const readBytes = 1024 * 1024;
const blockBytes = 4096;
const zeros = Buffer.alloc(readBytes);
const isZeros = (bytes: Buffer): boolean => bytes.equals(zeros.subarray(0, bytes.length));

/** See `Engine.readHome`. */
export async function readHome({ paths }: EngineContext, vmId: string): ReturnType<Engine['readHome']> {
  const path = paths.vmFile(vmId, 'disk');
  const found = await stat(path).catch((cause: unknown) => {
    throw homeUnusable(vmId, path, cause);
  });
  return { sizeBytes: found.size, takenBytes: found.blocks * 512, extents: extentsOf(path) };
}

async function* extentsOf(path: string): AsyncGenerator<Extent, void> {
  const file = await open(path, 'r');
  try {
    for (const range of await dataRanges(path)) yield* extentsIn(file, range);
  } finally {
    await file.close();
  }
}

async function* extentsIn(file: FileHandle, { from, to }: DataRange): AsyncGenerator<Extent, void> {
  let buffer = Buffer.allocUnsafe(readBytes);
  for (let at = from; at < to;) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(readBytes, to - at), at);
    if (bytesRead === 0) return;
    const found = buffer.subarray(0, bytesRead);
    if (!isZeros(found)) {
      yield* partsOf(found, at);
      // Whoever took the parts may still have them.
      buffer = Buffer.allocUnsafe(readBytes);
    }
    at += bytesRead;
  }
}

/** Runs of blocks that are not zeros. */
function* partsOf(found: Buffer, at: number): Generator<Extent, void> {
  for (let from = 0; from < found.length;) {
    let to = from;
    while (to < found.length && !isZeros(found.subarray(to, to + blockBytes))) to += blockBytes;
    if (to > from) yield { at: at + from, bytes: found.subarray(from, to) };
    // The block at `to` is of zeros, or behind the end.
    from = to + blockBytes;
  }
}

/** See `Engine.receiveHome`. */
export async function receiveHome(
  { paths }: EngineContext,
  vmId: string,
  home: HomeContent,
  signal: AbortSignal,
): ReturnType<Engine['receiveHome']> {
  const target = paths.vmFile(vmId, 'disk');
  const partial = `${target}${partialEnding}`;
  await makePrivateFolder(dirname(target));
  try {
    const file = await open(partial, 'wx', 0o600);
    try {
      await writeAll(file, home, signal);
      await file.datasync();
    } finally {
      await file.close();
    }
  } catch (error) {
    await rm(partial, { force: true });
    throw isFull(error) ? await diskFull(target, home.sizeBytes, error) : error;
  }
  return {
    async keep() {
      await rename(partial, target);
      await flush(dirname(target));
    },
  };
}

async function writeAll(file: FileHandle, { sizeBytes, extents }: HomeContent, signal: AbortSignal): Promise<void> {
  await file.truncate(sizeBytes);
  for await (const { at, bytes } of extents) {
    signal.throwIfAborted();
    for (let done = 0; done < bytes.length;) {
      done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
    }
  }
}

/** See `Engine.dropReceived`. A whole home is never taken away: it may be one that a lost database knew. */
export async function dropReceived({ paths }: EngineContext, known: ReadonlySet<string>): Promise<string[]> {
  const dropped: string[] = [];
  for (const id of await unknownIn(paths.vms, known)) {
    const names = (await readdir(paths.vm(id)).catch(nullIfClosed)) ?? [];
    if (!names.includes(`${runnerFiles.disk}${partialEnding}`) || names.includes(runnerFiles.disk)) continue;
    await rm(paths.vm(id), { recursive: true });
    dropped.push(id);
  }
  return dropped;
}

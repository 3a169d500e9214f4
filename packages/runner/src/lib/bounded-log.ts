/**
 * A log file that never grows beyond its limit: the first and the last part are kept, the middle is left out.
 * Owns the file while it is open; the file stays when it is closed.
 */
import { open, truncate, type FileHandle } from 'node:fs/promises';
import { StringDecoder } from 'node:string_decoder';
import { nullIfAbsent } from '@airlock/contract/file';

export interface BoundedLog {
  /** Appends; never waits and never throws: a log that cannot be written must not stop a VM. */
  write(chunk: Buffer): void;
  /** The last `count` lines that were written, without escape sequences. */
  lastLines(count: number): string;
  /** Waits until everything is in the file. */
  close(): Promise<void>;
}

const tailBytes = 16 * 1024;

export interface BoundedLogOptions {
  /** Bytes; 4 MiB by default. */
  limit?: number;
  /** Goes on after what the file holds already, also when others append to it; otherwise the file begins anew. */
  append?: boolean;
}

/**
 * Opens `path` for at most `limit` bytes. A line longer than 16 KiB is cut in `lastLines`. `onError` is told once when the
 * file cannot be written.
 */
export async function openBoundedLog(
  path: string,
  onError: (error: unknown) => void,
  { limit = 4 * 1024 * 1024, append: keeps = false }: BoundedLogOptions = {},
): Promise<BoundedLog> {
  if (!keeps) await truncate(path).catch(nullIfAbsent);
  // What is appended goes to the end that the file has then, whoever else writes to it; only cutting needs a position.
  const [file, cutter] = [await open(path, 'a', 0o600), await open(path, 'r+')];
  const decoder = new StringDecoder('utf8');
  let recent = '';
  let broken = false;
  let pending: Promise<void> = Promise.resolve();

  async function append(chunk: Buffer): Promise<void> {
    if (broken) return;
    await file.write(chunk);
    const { size } = await file.stat();
    if (size > limit) await leaveOutMiddle(cutter, size, limit);
  }

  return {
    write(chunk) {
      recent = (recent + decoder.write(chunk)).slice(-tailBytes);
      pending = pending
        .then(() => append(chunk))
        .catch((error: unknown) => {
          if (!broken) onError(error);
          broken = true;
        });
    },
    lastLines: (count) => plainLines(recent).slice(-count).join('\n'),
    async close() {
      await pending;
      await Promise.all([file.close(), cutter.close()]);
    },
  };
}

/** Keeps the first and the last quarter of `limit`. */
async function leaveOutMiddle(file: FileHandle, size: number, limit: number): Promise<void> {
  const part = Math.floor(limit / 4);
  const tail = Buffer.alloc(part);
  await file.read(tail, 0, part, size - part);
  const mark = Buffer.from(`\n[... ${size - 2 * part} bytes left out ...]\n`);
  const text = Buffer.concat([mark, tail]);
  await file.write(text, 0, text.length, part);
  await file.truncate(part + text.length);
}

/** Lines without terminal escape sequences, carriage returns and empty ends. */
export function plainLines(text: string): string[] {
  // oxlint-disable-next-line no-control-regex -- escape sequences are what is removed here
  const plain = text.replace(/\u001b(?:\[[0-9;:?]*[ -/]*[@-~]|[()][A-Z0-9]|[=>78cM])/g, '').replace(/\r/g, '');
  return plain.trimEnd().split('\n');
}

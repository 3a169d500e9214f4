/** A log file that never grows without end: past the limit it becomes `<file>.1`, and a new one begins. */
import { appendFile, rename, stat } from 'node:fs/promises';
import { nullIfAbsent } from '@airlock/contract/file';

export interface BoundedLog {
  /** Queues one line; lines keep their order. */
  write(line: string): void;
  /** Resolves when everything queued is on disk. */
  flush(): Promise<void>;
}

/** @param maxBytes of one file; at most two are kept. */
export async function openBoundedLog(file: string, maxBytes = 5 * 1024 * 1024): Promise<BoundedLog> {
  let size = (await stat(file).catch(nullIfAbsent))?.size ?? 0;
  let waiting = '';
  let last: Promise<void> = Promise.resolve();

  async function append(): Promise<void> {
    const text = waiting;
    waiting = '';
    if (text === '') return;
    if (size > 0 && size + text.length > maxBytes) {
      await rename(file, `${file}.1`);
      size = 0;
    }
    await appendFile(file, text, { mode: 0o600 });
    size += Buffer.byteLength(text);
  }

  return {
    write(line) {
      waiting += `${line}\n`;
      last = last.then(append);
    },
    flush: () => last,
  };
}

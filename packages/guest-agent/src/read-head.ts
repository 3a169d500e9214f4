/** Reads files that a program of the desktop user may make as long as it likes. */
import { open } from 'node:fs/promises';

/** At most the first `limit` bytes of a file. @throws the system's error */
export async function readHead(path: string, limit: number): Promise<Buffer> {
  const file = await open(path);
  try {
    const head = Buffer.alloc(limit);
    let length = 0;
    for (let more = -1; more !== 0 && length < limit; length += more) {
      ({ bytesRead: more } = await file.read(head, length, limit - length, null));
    }
    return head.subarray(0, length);
  } finally {
    await file.close();
  }
}

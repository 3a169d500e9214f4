/** Two small things about byte streams: reading an exact number of bytes, and joining two of them. */
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import type { BulkSocket } from '@airlock/contract/bulk-socket';
import { AppError } from '@airlock/contract/errors';

/**
 * Exactly `length` bytes; what follows them stays in the stream.
 * @throws AppError guest_unreachable when the stream ends before; the reason of `signal` when it fires.
 */
export async function readExactly(stream: Duplex, length: number, signal: AbortSignal): Promise<Buffer> {
  let have = Buffer.alloc(0);
  for (;;) {
    signal.throwIfAborted();
    // Always everything: with a part left in the stream, 'readable' would be emitted again and again.
    const chunk: unknown = stream.read();
    if (Buffer.isBuffer(chunk)) {
      have = Buffer.concat([have, chunk]);
      if (have.length >= length) {
        if (have.length > length) stream.unshift(have.subarray(length));
        return have.subarray(0, length);
      }
    } else if (stream.readableEnded || stream.destroyed) {
      throw new AppError('guest_unreachable', 'The connection ended in the middle of a message.');
    } else {
      await untilReadable(stream, signal);
    }
  }
}

/** Resolves when something can be read or nothing will come any more. @throws the stream's error, the signal's reason */
async function untilReadable(stream: Duplex, signal: AbortSignal): Promise<void> {
  const waiting = new AbortController();
  const either = AbortSignal.any([signal, waiting.signal]);
  try {
    await Promise.race(['readable', 'end', 'close'].map((event) => once(stream, event, { signal: either })));
  } finally {
    waiting.abort();
  }
}

/** Passes bytes both ways, each side as fast as the other takes them, until either ends; then both are closed. */
export async function splice(viewer: Duplex, source: BulkSocket): Promise<void> {
  source.once('end', () => viewer.end());
  source.forward((chunk, release) => viewer.write(chunk, release));
  try {
    await Promise.race([pipeline(viewer, source), finished(viewer, { readable: false })]);
  } finally {
    viewer.destroy();
    source.destroy();
  }
}

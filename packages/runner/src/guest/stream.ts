/** Two small things about byte streams: reading an exact number of bytes, and joining two of them. */
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AppError } from '@airlock/contract/errors';

/**
 * Exactly `length` bytes; what follows them stays in the stream.
 * @throws AppError guest_unreachable when the stream ends before; the reason of `signal` when it fires.
 */
export async function readExactly(stream: Duplex, length: number, signal: AbortSignal): Promise<Buffer> {
  for (;;) {
    signal.throwIfAborted();
    const chunk: unknown = stream.read(length);
    if (Buffer.isBuffer(chunk) && chunk.length === length) return chunk;
    if (stream.readableEnded || stream.destroyed || chunk !== null) {
      throw new AppError('guest_unreachable', 'The connection ended in the middle of a message.');
    }
    // `once` rejects on an error; an end of the stream is a 'readable' event whose read() gives the rest or nothing.
    const waiting = new AbortController();
    const either = AbortSignal.any([signal, waiting.signal]);
    try {
      await Promise.race([
        once(stream, 'readable', { signal: either }),
        once(stream, 'end', { signal: either }),
        once(stream, 'close', { signal: either }),
      ]);
    } finally {
      waiting.abort();
    }
  }
}

/** Passes bytes both ways, each side as fast as the other takes them, until either ends; then both are closed. */
export async function splice(a: Duplex, b: Duplex): Promise<void> {
  try {
    await Promise.race([pipeline(a, b), pipeline(b, a)]);
  } finally {
    a.destroy();
    b.destroy();
  }
}

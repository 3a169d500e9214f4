/**
 * A connection whose bytes can be passed on cheaply: they are read into a few large buffers that are used again and again,
 * where a stream takes new memory for every 64 KiB, which the kernel has to clear and V8 to collect.
 */
import { connect, type NetConnectOpts, type Socket } from 'node:net';

/** Takes bytes that came. They stay as they are until `release` is called; then their memory is read into again. */
export type Sink = (chunk: Buffer, release: () => void) => void;

export interface BulkSocket extends Socket {
  /**
   * From now on all bytes go to `sink`, and none to the readable side; 'end' comes as ever. While `sink` holds two chunks
   * nothing is read, so that a slow taker slows the sender and costs no memory.
   */
  forward(sink: Sink): void;
}

const bufferBytes = 256 * 1024;
/** One is on its way while the next is filled and waits. */
const heldAtMost = 2;

/** Connects like net.connect. Until `forward` is called, it is a socket like any other. */
export function connectBulk(to: NetConnectOpts): BulkSocket {
  const free: Buffer[] = [];
  let filling: Buffer | undefined;
  let held = 0;
  let sink: Sink | undefined;

  /** The buffer that is read into next: the same one again as long as it has not been given away. */
  const buffer = (): Buffer => (filling ??= free.pop() ?? Buffer.allocUnsafeSlow(bufferBytes));

  /** @returns whether to go on reading */
  function callback(bytes: number): boolean {
    const full = buffer();
    const chunk = full.subarray(0, bytes);
    if (!sink) return socket.push(Buffer.from(chunk));
    filling = undefined;
    held += 1;
    sink(chunk, () => {
      held -= 1;
      free.push(full);
      // Also begins to read again.
      socket.resume();
    });
    return held < heldAtMost;
  }

  const socket = connect({ ...to, onread: { buffer, callback } });
  return Object.assign(socket, {
    forward(to: Sink): void {
      const early = socket.read() as Buffer | null;
      sink = to;
      if (early) to(early, () => undefined);
      socket.resume();
    },
  });
}

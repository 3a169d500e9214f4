/** Takes exact numbers of bytes from a stream, in order. Holds at most what the stream itself buffers and one message. */
import type { Duplex } from 'node:stream';

export class ByteReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(stream: Duplex) {
    this.#chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** The next `count` bytes, in memory of their own. @throws Error when the stream ends before. */
  async take(count: number): Promise<Buffer> {
    const result = Buffer.alloc(count);
    let filled = 0;
    while (filled < count) {
      if (this.#rest.length === 0) {
        const next = await this.#chunks.next();
        if (next.done === true) throw new Error(`The VNC connection ended with ${count - filled} bytes missing.`);
        this.#rest = next.value;
      }
      const copied = this.#rest.copy(result, filled);
      this.#rest = this.#rest.subarray(copied);
      filled += copied;
    }
    return result;
  }
}

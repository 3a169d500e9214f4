/** A stream of bytes, taken in pieces of a wanted size. */
import { AppError } from '@airlock/contract/errors';

export interface ByteReader {
  /** The next `size` bytes; fewer only where the stream ends. */
  take(size: number): Promise<Buffer>;
  /**
   * What stands before the next line feed, which is taken as well.
   * @throws AppError invalid_request when there is none within `limit` bytes
   */
  line(limit: number): Promise<string>;
  /** Everything that has not been taken. */
  rest(): AsyncGenerator<Buffer, void>;
}

export function createByteReader(source: AsyncIterable<Uint8Array>): ByteReader {
  const pieces = source[Symbol.asyncIterator]();
  /** What has come and was not taken: put together only when it is taken. */
  let held: Buffer[] = [];
  let length = 0;

  /** False when the stream has ended. */
  async function more(): Promise<boolean> {
    const next = await pieces.next();
    if (next.done === true) return false;
    held.push(viewOf(next.value));
    length += next.value.length;
    return true;
  }
  function split(size: number): Buffer {
    const [first = Buffer.alloc(0)] = held;
    const whole = held.length > 1 ? Buffer.concat(held) : first;
    const [taken, left] = [whole.subarray(0, size), whole.subarray(size)];
    held = left.length > 0 ? [left] : [];
    length = left.length;
    return taken;
  }

  return {
    async take(size) {
      while (length < size && (await more()));
      return split(size);
    },
    async line(limit) {
      while (!held.some((piece) => piece.includes(lineFeed)) && length <= limit && (await more()));
      const text = split(length);
      const end = text.indexOf(lineFeed);
      if (end < 0 || end > limit) {
        throw new AppError('invalid_request', `There is no line feed within ${limit} bytes.`);
      }
      held = [text.subarray(end + 1)];
      length = text.length - end - 1;
      return text.toString('utf8', 0, end);
    },
    async *rest() {
      try {
        if (length > 0) yield split(length);
        for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) yield viewOf(next.value);
      } finally {
        await pieces.return?.();
      }
    },
  };
}

const lineFeed = 0x0a;

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer => Buffer.from(buffer, byteOffset, byteLength);

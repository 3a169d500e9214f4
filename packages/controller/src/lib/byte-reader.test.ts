/** Bytes of a stream by their count, by line, and what is left of it. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createByteReader } from './byte-reader.js';

async function* each(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

test('whatever is taken, it is the stream, in order', () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 30 })),
      fc.array(fc.integer({ min: 0, max: 50 })),
      async (pieces, sizes) => {
        const all = Buffer.concat(pieces);
        const reader = createByteReader(each(pieces));
        let at = 0;
        for (const size of sizes) {
          const taken = await reader.take(size);
          expect(taken.equals(all.subarray(at, at + size))).toBe(true);
          at += taken.length;
        }
        const left: Buffer[] = [];
        for await (const piece of reader.rest()) left.push(piece);
        expect(Buffer.concat(left).equals(all.subarray(at))).toBe(true);
      },
    ),
  ));

test.each([
  [['a line\nand more'], 'a line', 'and more'],
  [['a l', 'in', 'e', '\n', 'and', ' more'], 'a line', 'and more'],
  [['\n\nmore'], '', '\nmore'],
  [['ü\n'], 'ü', ''],
  [['x'.repeat(16), '\n'], 'x'.repeat(16), ''],
])('a line of %j', async (pieces, line, rest) => {
  const reader = createByteReader(each(pieces.map((piece) => Buffer.from(piece))));
  expect(await reader.line(16)).toBe(line);
  expect((await reader.take(100)).toString()).toBe(rest);
});

test.each([[[]], [['no end']], [['x'.repeat(17), '\n']], [['x'.repeat(17)]]])('no line: %j', async (pieces) => {
  const reader = createByteReader(each(pieces.map((piece) => Buffer.from(piece))));
  await expect(reader.line(16)).rejects.toMatchObject({ code: 'invalid_request' });
});

test('no more than a line needs is read', async () => {
  let read = 0;
  async function* endless(): AsyncGenerator<Buffer> {
    for (;;) {
      read += 1;
      yield Buffer.alloc(10, 'x');
    }
  }
  await expect(createByteReader(endless()).line(100)).rejects.toMatchObject({ code: 'invalid_request' });
  expect(read).toBe(11);
});

/** Sealed streams: whole, cut, altered; and that the form is the one that other programs write. */
import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openSealed, prepareSeal } from './sealed-stream.js';

const passphrase = 'a passphrase of a test';
const quick = 4;
const kib = 1024;

async function* inPieces(bytes: Uint8Array, size = 7000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function whole(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

const seal = async (plain: Uint8Array): Promise<Buffer> =>
  whole((await prepareSeal(passphrase, quick))(inPieces(plain, 10_000)));
const open = async (sealed: Uint8Array, by = passphrase): Promise<Buffer> =>
  whole(await openSealed(by, inPieces(sealed)));

test.each([0, 1, 64 * kib - 1, 64 * kib, 64 * kib + 1, 128 * kib, 200_000])('%i bytes come back', async (size) => {
  const plain = Buffer.alloc(size, 'content');
  const sealed = await seal(plain);
  expect(sealed.includes('content')).toBe(false);
  expect((await open(sealed)).equals(plain)).toBe(true);
});

test('pieces of any size come back', () =>
  fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 40_000 }), { maxLength: 8 }), async (pieces) => {
      const sealed = (await prepareSeal(passphrase, quick))(
        (async function* () {
          yield* pieces;
        })(),
      );
      expect((await whole(await openSealed(passphrase, sealed))).equals(Buffer.concat(pieces))).toBe(true);
    }),
    { numRuns: 30 },
  ));

test('two seals of the same have nothing in common but the form', async () => {
  const [one, two] = [await seal(Buffer.alloc(100)), await seal(Buffer.alloc(100))];
  expect(one.length).toBe(two.length);
  expect(one.subarray(-116).equals(two.subarray(-116))).toBe(false);
});

describe('a file of age, made by typage 0.3.1', () => {
  const file = (): Promise<Buffer> => readFile(new URL('fixtures/by-typage.age', import.meta.url));
  const words = 'age opens this file, too';
  const bytes = Buffer.concat([Buffer.alloc(64 * kib, 'age '), Buffer.from('the second chunk\n')]);
  /** Where its parts end. */
  const parts = { intro: 22, recipient: 58, wrapped: 102, head: 150, nonce: 166, first: 166 + 64 * kib + 16 };

  test('opens', async () => {
    expect((await open(await file(), words)).equals(bytes)).toBe(true);
  });

  test('does not open with another passphrase', async () => {
    const wrong = { code: 'backup_invalid', message: expect.stringContaining('the passphrase is wrong') };
    await expect(open(await file(), `${words}.`)).rejects.toMatchObject(wrong);
  });

  test('shows where it was cut', async () => {
    const all = await file();
    expect(all.subarray(parts.head - 1, parts.head).toString()).toBe('\n');
    const ends = Object.values(parts).flatMap((end) => [end - 1, end, end + 1]);
    for (const end of [0, 1, ...ends, all.length - 17, all.length - 16, all.length - 1]) {
      await expect(open(all.subarray(0, end), words), `cut at ${end}`).rejects.toMatchObject({
        code: 'backup_invalid',
      });
    }
  });

  test('shows a byte that was altered, and gives out nothing of its chunk', async () => {
    const all = await file();
    const places = Object.values(parts).flatMap((end) => [end - 2, end - 1, end]);
    for (const at of [0, ...places, 50_000, all.length - 20, all.length - 1]) {
      const altered = Buffer.from(all);
      altered[at] = (altered[at] ?? 0) ^ 1;
      const given: Buffer[] = [];
      const reading = (async () => {
        for await (const piece of await openSealed(words, inPieces(altered))) given.push(piece);
      })();
      await expect(reading, `byte ${at}`).rejects.toMatchObject({ code: 'backup_invalid' });
      expect(Buffer.concat(given).length).toBe(at < parts.first ? 0 : 64 * kib);
    }
  });

  test('shows chunks that were left out, doubled, or put in another order, and bytes behind the last one', async () => {
    const all = await file();
    const [head, first, second] = [
      all.subarray(0, parts.nonce),
      all.subarray(parts.nonce, parts.first),
      all.subarray(parts.first),
    ];
    for (const order of [[second], [first], [first, first, second], [second, first], [first, second, second], []]) {
      await expect(open(Buffer.concat([head, ...order]), words)).rejects.toMatchObject({ code: 'backup_invalid' });
    }
    await expect(open(Buffer.concat([all, Buffer.alloc(1)]), words)).rejects.toMatchObject({ code: 'backup_invalid' });
  });
});

test.each([
  ['nothing', ''],
  ['text', 'eyJhbGciOiJQQkVTMi1IUzUxMitBMjU2S1ciLCJlbmMiOiJBMjU2R0NNIn0.a.b.c.d'],
  ['a file of age for a key', 'age-encryption.org/v1\n-> X25519 8hOC2lYK1XUlT9zFS9TBGY2NtHMdkfQqGkVxPxGNHAM\n'],
  ['a file that asks for more memory than there is', `age-encryption.org/v1\n-> scrypt ${'A'.repeat(22)} 30\n`],
  ['zeros', '\0'.repeat(1000)],
])('%s is not taken', async (_what, text) => {
  await expect(open(Buffer.from(text))).rejects.toMatchObject({ code: 'backup_invalid' });
});

test('whoever leaves the stream early ends what it comes from', async () => {
  let ended = false;
  async function* endless(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) yield Buffer.alloc(100_000);
    } finally {
      ended = true;
    }
  }
  for await (const piece of (await prepareSeal(passphrase, quick))(endless())) if (piece.length > 60_000) break;
  expect(ended).toBe(true);
});

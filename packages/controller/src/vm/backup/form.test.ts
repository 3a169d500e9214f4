/** The form of a backup: what comes back, and what is no backup. */
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { newId } from '@airlock/contract/ids';
import type { Extent } from '../../engine/engine.js';
import { prepareSeal } from '../../lib/sealed-stream.js';
import { openHome, sealHome } from './form.js';

const passphrase = 'a passphrase of a test';
const quick = 4;

async function* each<T>(items: Iterable<T>): AsyncGenerator<T, void> {
  yield* items;
}

async function whole(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

const about = (sizeBytes: number) => ({
  ...{ madeAt: new Date(0).toISOString(), vmId: newId('vm'), user: 'ada', imageId: 'img_202601011200abcdef01' },
  ...{ sizeBytes, takenBytes: 4096, homeKey: randomBytes(64).toString('base64') },
});

const sealed = async (text: string | Uint8Array): Promise<Buffer> =>
  whole((await prepareSeal(passphrase, quick))(each([Buffer.from(text)])));

async function open(file: Uint8Array): Promise<Extent[]> {
  const { extents } = await openHome(passphrase, each([file]));
  const all: Extent[] = [];
  for await (const extent of extents) all.push(extent);
  return all;
}

test('what it says of itself comes back, and every part at its place', () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          gap: fc.integer({ min: 0, max: 2 ** 40 }),
          bytes: fc.uint8Array({ minLength: 1, maxLength: 70_000 }),
        }),
        { maxLength: 5 },
      ),
      async (parts) => {
        let end = 0;
        const extents = parts.map(({ gap, bytes }) => {
          const at = end + gap;
          end = at + bytes.length;
          return { at, bytes };
        });
        const said = about(end + 1);
        const file = await whole(sealHome(await prepareSeal(passphrase, quick), said, each(extents)));
        const found = await openHome(passphrase, each([file]));
        expect(found.about).toEqual({ format: 'airlock-home', version: 1, ...said });
        expect((await open(file)).map(({ at, bytes }) => ({ at, bytes: Buffer.from(bytes).toString('hex') }))).toEqual(
          extents.map(({ at, bytes }) => ({ at, bytes: Buffer.from(bytes).toString('hex') })),
        );
      },
    ),
    { numRuns: 25 },
  ));

test('nothing of it can be read without the passphrase', async () => {
  const said = about(100);
  const extents = [{ at: 0, bytes: Buffer.from('what is in the home') }];
  const file = await whole(sealHome(await prepareSeal(passphrase, quick), said, each(extents)));
  for (const secret of [said.homeKey, said.vmId, 'ada', 'what is in']) expect(file.includes(secret)).toBe(false);
  const other = { code: 'backup_invalid', message: expect.stringContaining('passphrase is wrong') };
  await expect(openHome('another passphrase', each([file]))).rejects.toMatchObject(other);
});

const line = (values: object): string =>
  `${JSON.stringify({ format: 'airlock-home', version: 1, ...about(100), ...values })}\n`;
const part = (at: number, length: number, bytes = Buffer.alloc(length, 1)): Buffer => {
  const head = Buffer.alloc(12);
  head.writeBigUInt64BE(BigInt(at));
  head.writeUInt32BE(length, 8);
  return Buffer.concat([head, bytes]);
};

describe('what is no backup is said to be none', () => {
  test.each([
    ['nothing', Buffer.alloc(0), /no backup of a home/],
    ['a text', 'a text\n', /no backup of a home/],
    ['a line without end', 'x'.repeat(100_000), /no backup of a home/],
    ['something else', '{"format":"something","version":1}\n', /no backup of a home/],
    ['one of a newer version', line({ version: 2, more: true }), /has version 2.*understands 1/],
    ['one without a key', line({ homeKey: undefined }), /unexpected form: homeKey/],
    ['one with more than there is', line({ more: 1 }), /unexpected form/],
    ['one that breaks off', line({}), /breaks off behind byte 0/],
  ])('%s', async (_what, text, message) => {
    const wrong = { code: 'backup_invalid', message: expect.stringMatching(message) };
    await expect(open(await sealed(text))).rejects.toMatchObject(wrong);
  });

  test.each([
    ['breaks off in a head', [part(0, 10), part(50, 0).subarray(0, 5)]],
    ['breaks off in a part', [part(0, 10).subarray(0, 15)]],
    ['breaks off between parts', [part(0, 10)]],
    ['ends before the end of the disk', [part(0, 10), part(50, 0)]],
    ['goes on behind the end', [part(0, 10), part(100, 0), part(0, 1)]],
    ['has parts over each other', [part(0, 10), part(9, 10), part(100, 0)]],
    ['has a part behind the end of the disk', [part(91, 10), part(100, 0)]],
    ['has a part beyond all disks', [part(Number.MAX_SAFE_INTEGER, 10), part(100, 0)]],
  ])('one that %s', async (_what, parts) => {
    const file = await sealed(Buffer.concat([Buffer.from(line({})), ...parts]));
    await expect(open(file)).rejects.toMatchObject({ code: 'backup_invalid' });
  });

  test('a backup of the vault, with what that is for', async () => {
    const jwe = Buffer.from('eyJhbGciOiJQQkVTMi1IUzUxMitBMjU2S1ciLCJlbmMiOiJBMjU2R0NNIn0.a.b.c.d\n');
    const wrong = { code: 'backup_invalid', hint: expect.stringContaining('airlock vault restore') };
    await expect(open(jwe)).rejects.toMatchObject(wrong);
  });
});

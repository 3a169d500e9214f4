/**
 * Bytes sealed under a passphrase as they come, of any length: version 1 of the file format of age (C2SP, "age-encryption.org/v1") with
 * its one recipient for passphrases, scrypt. So another program, `age -d`, opens them too. Truncation and alteration show: each chunk is
 * authenticated with its place, and the last one as the last. Nothing is given out before it is authentic.
 *
 *   age-encryption.org/v1
 *   -> scrypt SALT LOG2(N)
 *   <the file's key, wrapped by that of the passphrase>
 *   --- <HMAC of all of the above>
 *   16 bytes of nonce, then chunks of 64 KiB, each with a tag of 16 bytes
 */
import { createCipheriv, createDecipheriv, createHmac, hkdf, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { AppError } from '@airlock/contract/errors';
import { createByteReader, type ByteReader } from './byte-reader.js';

/** What a guess costs, as log2: 128 MiB of memory, and about 0.4 s of one core. */
const work = 17;
/** What is taken of a file that another program has sealed again, its own default: 256 MiB. */
const mostWork = 18;
const chunkBytes = 64 * 1024;
const tagBytes = 16;
const nonceBytes = 16;
const algorithm = 'chacha20-poly1305';
const firstLine = 'age-encryption.org/v1';

/** Seals one stream. */
export type Seal = (plain: AsyncIterable<Uint8Array>) => AsyncGenerator<Buffer, void>;

/** What takes long is done when this resolves. `log2`: of the work of a guess. */
export async function prepareSeal(passphrase: string, log2 = work): Promise<Seal> {
  const [salt, fileKey] = [randomBytes(16), randomBytes(16)];
  const wrapped = encrypt(await passphraseKey(passphrase, salt, log2), Buffer.alloc(12), fileKey);
  const head = `${firstLine}\n-> scrypt ${base64(salt)} ${log2}\n${base64(wrapped)}\n---`;
  return async function* seal(plain) {
    const nonce = randomBytes(nonceBytes);
    yield Buffer.concat([Buffer.from(`${head} ${base64(await macOf(fileKey, head))}\n`), nonce]);
    const key = await derive(fileKey, nonce, 'payload');
    for await (const { chunk, place } of chunksOf(plain, chunkBytes)) yield encrypt(key, place, chunk);
  };
}

/**
 * What was sealed in `sealed`, once the passphrase has opened its head. The stream ends without an error only when all of it is there.
 * @throws AppError backup_invalid, also while the stream is read
 */
export async function openSealed(
  passphrase: string,
  sealed: AsyncIterable<Uint8Array>,
): Promise<AsyncGenerator<Buffer, void>> {
  const reader = createByteReader(sealed);
  const fileKey = await openHead(passphrase, reader);
  const key = await derive(fileKey, await reader.take(nonceBytes), 'payload');
  return openChunks(key, reader.rest());
}

async function* openChunks(key: Buffer, sealed: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  let at = 0;
  for await (const { chunk, place } of chunksOf(sealed, chunkBytes + tagBytes)) {
    const plain = decrypt(key, place, chunk);
    // A last chunk without content is only that of an empty stream.
    if (plain === undefined || (plain.length === 0 && at > 0)) {
      throw new AppError('backup_invalid', `The file was altered or cut short, behind ${at} bytes of its content.`);
    }
    at += plain.length;
    if (plain.length > 0) yield plain;
  }
}

async function openHead(passphrase: string, reader: ByteReader): Promise<Buffer> {
  const start = `${firstLine}\n-> scrypt `;
  if ((await reader.take(start.length)).toString('latin1') !== start) {
    throw new AppError('backup_invalid', 'The file is not sealed under a passphrase as Airlock does it.');
  }
  const lines = [await lineOf(reader), await lineOf(reader), await lineOf(reader)];
  const [, salt, log2, wrapped, mac] =
    /^([A-Za-z0-9+/]{22}) ([1-9]\d?)\n([A-Za-z0-9+/]{43})\n--- ([A-Za-z0-9+/]{43})$/.exec(lines.join('\n')) ?? [];
  if (salt === undefined || wrapped === undefined || mac === undefined || Number(log2) > mostWork) throw badHead();
  const wrappingKey = await passphraseKey(passphrase, Buffer.from(salt, 'base64'), Number(log2));
  const fileKey = decrypt(wrappingKey, Buffer.alloc(12), Buffer.from(wrapped, 'base64'));
  if (fileKey?.length !== 16) {
    throw new AppError(
      'backup_invalid',
      'The file cannot be opened: the passphrase is wrong, or the file was altered.',
    );
  }
  const head = `${start}${lines.slice(0, 2).join('\n')}\n---`;
  if (!timingSafeEqual(await macOf(fileKey, head), Buffer.from(mac, 'base64'))) throw badHead();
  return fileKey;
}

const badHead = (): AppError => new AppError('backup_invalid', 'The head of the file was altered or cut short.');

const lineOf = (reader: ByteReader): Promise<string> =>
  reader.line(100).catch((error: unknown) => {
    throw error instanceof AppError && error.code === 'invalid_request' ? badHead() : error;
  });

interface Chunk {
  chunk: Buffer;
  /** Its nonce: how many were before it, in 11 bytes, and whether it is the last. */
  place: Buffer;
}

/** Chunks of `size` bytes; the last one may be shorter, and is empty only when all is. */
async function* chunksOf(source: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Chunk, void> {
  let held: Uint8Array[] = [];
  let length = 0;
  let count = 0;
  const placed = (chunk: Buffer, isLast: boolean): Chunk => {
    const place = Buffer.alloc(12);
    place.writeUIntBE(count++, 5, 6);
    place[11] = isLast ? 1 : 0;
    return { chunk, place };
  };
  for await (const piece of source) {
    held.push(piece);
    length += piece.length;
    if (length <= size) continue;
    const whole = Buffer.concat(held);
    let at = 0;
    for (; length - at > size; at += size) yield placed(whole.subarray(at, at + size), false);
    held = [whole.subarray(at)];
    length -= at;
  }
  yield placed(Buffer.concat(held), true);
}

function encrypt(key: Buffer, nonce: Buffer, plain: Buffer): Buffer {
  const cipher = createCipheriv(algorithm, key, nonce, { authTagLength: tagBytes });
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** Undefined for what is not authentic. */
function decrypt(key: Buffer, nonce: Buffer, sealed: Buffer): Buffer | undefined {
  if (sealed.length < tagBytes) return undefined;
  const decipher = createDecipheriv(algorithm, key, nonce, { authTagLength: tagBytes });
  decipher.setAuthTag(sealed.subarray(-tagBytes));
  const plain = decipher.update(sealed.subarray(0, -tagBytes));
  try {
    decipher.final();
    return plain;
  } catch {
    // All that `final` tells.
    return undefined;
  }
}

async function passphraseKey(passphrase: string, salt: Buffer, log2: number): Promise<Buffer> {
  const N = 2 ** log2;
  const salted = Buffer.concat([Buffer.from(`${firstLine}/scrypt`), salt]);
  return scryptAsync(passphrase, salted, 32, { N, r: 8, p: 1, maxmem: 2 * 128 * 8 * N });
}
const scryptAsync = promisify<string, Buffer, number, object, Buffer>(scrypt);

const derive = async (key: Buffer, salt: Buffer, info: string): Promise<Buffer> =>
  Buffer.from(await hkdfAsync('sha256', key, salt, info, 32));
const hkdfAsync = promisify(hkdf);

async function macOf(fileKey: Buffer, head: string): Promise<Buffer> {
  const key = await derive(fileKey, Buffer.alloc(0), 'header');
  return createHmac('sha256', key).update(head).digest();
}

const base64 = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');

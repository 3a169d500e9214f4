/**
 * The form of a backup of a home, below its seal (lib/sealed-stream): one line of JSON about it, then the parts of its disk that are not
 * zeros, in order. A part is 8 bytes of its place, 4 of its length, and its bytes; one without length at the disk's end is the last.
 */
import { z } from 'zod';
import { AppError } from '@airlock/contract/errors';
import { VmId } from '@airlock/contract/ids';
import type { Extent } from '../../engine/engine.js';
import { createByteReader, type ByteReader } from '../../lib/byte-reader.js';
import { openSealed, type Seal } from '../../lib/sealed-stream.js';

const version = 1;
const format = 'airlock-home';

export const BackupAbout = z.strictObject({
  format: z.literal(format),
  version: z.literal(version),
  madeAt: z.iso.datetime(),
  vmId: VmId,
  /** The name: ids differ from database to database. */
  user: z.string(),
  imageId: z.string(),
  /** Of the disk, and how much of it was taken on the host that it was made on. */
  sizeBytes: z.int().positive(),
  takenBytes: z.int().nonnegative(),
  homeKey: z.base64().length(88),
});
export type BackupAbout = z.infer<typeof BackupAbout>;

/** What every version begins with. */
const AnyAbout = z.looseObject({ format: z.literal(format), version: z.int().positive() });

export interface Backup {
  about: BackupAbout;
  extents: AsyncIterable<Extent>;
}

/** Bytes of the first line, and of one part, that are taken. */
const aboutLimit = 16 * 1024;
const extentLimit = 16 * 1024 * 1024;
const extentHead = 12;

export const sealHome = (
  seal: Seal,
  about: Omit<BackupAbout, 'format' | 'version'>,
  extents: Backup['extents'],
): AsyncGenerator<Buffer, void> => seal(contentOf({ format, version, ...about }, extents));

async function* contentOf(about: BackupAbout, extents: Backup['extents']): AsyncGenerator<Uint8Array, void> {
  yield Buffer.from(`${JSON.stringify(about)}\n`);
  for await (const { at, bytes } of extents) {
    yield headOf(at, bytes.length);
    yield bytes;
  }
  yield headOf(about.sizeBytes, 0);
}

function headOf(at: number, length: number): Buffer {
  const head = Buffer.alloc(extentHead);
  head.writeBigUInt64BE(BigInt(at));
  head.writeUInt32BE(length, 8);
  return head;
}

/**
 * What a backup says of itself; its parts come as they are read, the last one only when all of them were what was sealed.
 * @throws AppError backup_invalid, also while the parts are read: nothing is to be done with those before then
 */
export async function openHome(passphrase: string, file: AsyncIterable<Uint8Array>): Promise<Backup> {
  const reader = createByteReader(await openSealed(passphrase, file).catch(withHint));
  const about = parseAbout(await aboutLine(reader));
  return { about, extents: extentsOf(reader, about.sizeBytes) };
}

function withHint(error: unknown): never {
  if (!(error instanceof AppError) || error.code !== 'backup_invalid') throw error;
  throw new AppError(error.code, error.message, {
    hint: 'It must be a file of `npx airlock vm backup`; what `npx airlock vault backup` made is for `npx airlock vault restore`.',
    cause: error,
  });
}

const aboutLine = (reader: ByteReader): Promise<string> =>
  reader.line(aboutLimit).catch((error: unknown) => {
    throw error instanceof AppError && error.code === 'invalid_request' ? noBackup() : error;
  });

const noBackup = (): AppError => new AppError('backup_invalid', 'The file opens, but is no backup of a home.');

function parseAbout(line: string): BackupAbout {
  const json = jsonOf(line);
  const any = AnyAbout.safeParse(json);
  if (!any.success) throw noBackup();
  if (any.data.version > version) {
    throw new AppError(
      'backup_invalid',
      `The backup has version ${any.data.version} of its form; this version of Airlock understands ${version}.`,
      { hint: 'Restore it with the version of Airlock that made it, or a newer one.' },
    );
  }
  const parsed = BackupAbout.safeParse(json);
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues.map(({ path }) => path.join('.') || 'the whole line').join(', ');
  throw new AppError('backup_invalid', `The backup opens, but its first line has an unexpected form: ${where}.`);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON: the schema refuses it without quoting any of it.
    return undefined;
  }
}

async function* extentsOf(reader: ByteReader, sizeBytes: number): AsyncGenerator<Extent, void> {
  for (let end = 0; ;) {
    const head = await reader.take(extentHead);
    if (head.length < extentHead) throw badExtent(end);
    const [at, length] = [Number(head.readBigUInt64BE()), head.readUInt32BE(8)];
    if (length === 0) {
      if (at !== sizeBytes || (await reader.take(1)).length > 0) throw badExtent(end);
      return;
    }
    if (at < end || length > extentLimit || at + length > sizeBytes) throw badExtent(end);
    const bytes = await reader.take(length);
    if (bytes.length < length) throw badExtent(end);
    yield { at, bytes };
    end = at + length;
  }
}

const badExtent = (end: number): AppError =>
  new AppError('backup_invalid', `The backup opens, but does not hold a whole disk: it breaks off behind byte ${end}.`);

/**
 * Looks for planted secrets ("canaries") wherever they could have leaked to: files, processes, database rows; in plain,
 * base64, percent-encoded, hexadecimal, JSON-escaped and UTF-16 form. Findings name the canary by its label, never by value.
 */
import type { Dirent } from 'node:fs';
import { open, readdir, readFile, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { dataRanges, type DataRange } from '@airlock/contract/sparse-file';

export interface CanaryFinding {
  label: string;
  /** How it was written there. */
  form: string;
  /** `file PATH`, `process PID cmdline|environ (NAME)`, or `row of SCHEMA.TABLE`. */
  where: string;
  /** Byte offset inside the file, of the first occurrence; 0 elsewhere. */
  offset: number;
}

/** Runs one SQL statement without parameters. */
export type Query = (sql: string) => Promise<{ rows: Record<string, unknown>[] }>;

export interface CanarySearch {
  /** Files and folders, searched to the bottom; disk images as well. Symbolic links are not followed. */
  roots: readonly string[];
  /** A file from before the canaries: what disks have at the same place as this one cannot hold them, and is not searched. */
  base?: string;
  /** Command lines and environments of all living processes; true by default. */
  processes?: boolean;
  /** Every row of every table, as text. */
  query?: Query;
}

interface Pattern {
  label: string;
  form: string;
  bytes: Buffer;
}

/**
 * Searches for each secret of `canaries` (label to value, at least 8 bytes each). Reads every file whole.
 * @throws Error when something that exists cannot be read: an unread file proves nothing.
 */
export async function findCanary(canaries: Record<string, string>, search: CanarySearch): Promise<CanaryFinding[]> {
  const patterns = Object.entries(canaries).flatMap(([label, value]) => patternsOf(label, value));
  const look = searchFor(patterns);
  const findings: CanaryFinding[] = [];
  const base = search.base === undefined ? undefined : await open(search.base, 'r');
  try {
    for (const root of search.roots) {
      for await (const path of filesUnder(root)) findings.push(...(await searchFile(path, look, base)));
    }
  } finally {
    await base?.close();
  }
  if (search.processes !== false) findings.push(...(await searchProcesses(patterns)));
  if (search.query !== undefined) findings.push(...(await searchDatabase(search.query, patterns)));
  return findings;
}

/** Every form in which a text may be written, without repetitions. */
export function patternsOf(label: string, value: string): Pattern[] {
  const plain = Buffer.from(value);
  if (plain.length < 8) throw new RangeError(`The canary ${label} is too short to be unique.`);
  const everyByte = [...plain].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
  const texts: [form: string, text: string][] = [
    ['plain', value],
    ['percent-encoded', encodeURIComponent(value)],
    ['form-encoded', new URLSearchParams({ v: value }).toString().slice(2)],
    ['wholly percent-encoded', everyByte],
    ['wholly percent-encoded', everyByte.toUpperCase()],
    ['JSON-escaped', JSON.stringify(value).slice(1, -1)],
    ['hexadecimal', plain.toString('hex')],
    ['hexadecimal', plain.toString('hex').toUpperCase()],
    ...[0, 1, 2].flatMap((shift) => base64Forms(plain, shift)),
  ];
  const utf16 = Buffer.from(value, 'utf16le');
  const all: Pattern[] = [
    ...texts.map(([form, text]) => ({ label, form, bytes: Buffer.from(text) })),
    { label, form: 'UTF-16', bytes: utf16 },
    { label, form: 'UTF-16', bytes: Buffer.from(utf16).swap16() },
  ];
  const seen = new Set<string>();
  return all.filter(({ bytes }) => {
    const key = bytes.toString('latin1');
    return seen.has(key) ? false : Boolean(seen.add(key));
  });
}

/** The characters of base64 that depend on the value alone, when it begins `shift` bytes behind a group of three. */
function base64Forms(plain: Buffer, shift: number): [string, string][] {
  const encoded = Buffer.concat([Buffer.alloc(shift), plain])
    .toString('base64')
    .replace(/=+$/, '');
  const first = Math.ceil((shift * 8) / 6);
  const last = Math.floor(((shift + plain.length) * 8) / 6);
  const inner = encoded.slice(first, last);
  return [
    ['base64', inner],
    ['base64', inner.replaceAll('+', '-').replaceAll('/', '_')],
  ];
}

async function* filesUnder(path: string): AsyncGenerator<string> {
  const info = await unlessGone(stat(path));
  if (info === undefined) return;
  if (info.isFile()) {
    yield path;
    return;
  }
  if (!info.isDirectory()) return;
  const entries: Dirent[] = (await unlessGone(readdir(path, { withFileTypes: true }))) ?? [];
  for (const entry of entries) {
    if (entry.isDirectory() || entry.isFile()) yield* filesUnder(join(path, entry.name));
  }
}

const blockBytes = 4 << 20;
const zeros = Buffer.alloc(blockBytes);
const baseBlock = Buffer.alloc(blockBytes);

/** Whether there can be nothing in `block`, which lies at `position`: zeros, or what `base` has there. Comparing is many times faster than searching. */
async function isKnown(block: Buffer, position: number, base: FileHandle | undefined): Promise<boolean> {
  if (block.equals(zeros.subarray(0, block.length))) return true;
  if (base === undefined) return false;
  const { bytesRead } = await base.read(baseBlock, 0, block.length, position);
  return block.equals(baseBlock.subarray(0, bytesRead));
}

async function searchFile(path: string, look: Look, base: FileHandle | undefined): Promise<CanaryFinding[]> {
  const file = await unlessGone(open(path, 'r'));
  if (file === undefined) return [];
  try {
    const found = new Map<Pattern, number>();
    for (const range of (await unlessGone(dataRanges(path))) ?? [])
      await searchData(file, range, { look, base, found });
    return [...found].map(([{ label, form }, offset]) => ({ label, form, where: `file ${path}`, offset }));
  } finally {
    await file.close();
  }
}

interface FileSearch {
  look: Look;
  base: FileHandle | undefined;
  found: Map<Pattern, number>;
}

/** Reads block by block; each block begins with the end of the one before, so that nothing is missed between two. */
async function searchData(file: FileHandle, { from, to }: DataRange, search: FileSearch): Promise<void> {
  const { look, base, found } = search;
  const { buffer, overlap } = look;
  let kept = 0;
  for (let position = from; position < to;) {
    const { bytesRead } = await file.read(buffer, kept, Math.min(blockBytes, to - position), position);
    if (bytesRead === 0) return;
    const window = buffer.subarray(0, kept + bytesRead);
    const known = await isKnown(buffer.subarray(kept, kept + bytesRead), position, base);
    look.into(known ? window.subarray(0, kept + overlap) : window, (pattern, at) => {
      if (!found.has(pattern)) found.set(pattern, position - kept + at);
    });
    position += bytesRead;
    const next = Math.min(overlap, window.length);
    window.copy(buffer, 0, window.length - next);
    kept = next;
  }
}

interface Look {
  /** For all files: a new one for each of thousands of small ones is most of the work. */
  buffer: Buffer;
  /** One byte less than the longest pattern. */
  overlap: number;
  /** Calls `hit` for every pattern at every place of `window` where it is whole, in order of the places. */
  into(window: Buffer, hit: (pattern: Pattern, at: number) => void): void;
}

/**
 * Looks for all patterns in one go, as Wu and Manber do: two bytes tell how far ahead a pattern can begin at the soonest, so that most
 * bytes are leapt over. One search of Node's for each pattern takes ten times as long.
 */
function searchFor(patterns: readonly Pattern[]): Look {
  const lengths = patterns.map(({ bytes }) => bytes.length);
  const shortest = Math.min(...lengths);
  const leaps = new Uint16Array(2 ** 16).fill(shortest - 1);
  const endingWith = new Map<number, Pattern[]>();
  for (const pattern of patterns) {
    for (let at = 1; at < shortest; at += 1) {
      const two = pattern.bytes.readUInt16BE(at - 1);
      leaps[two] = Math.min(leaps[two]!, shortest - 1 - at);
      if (at === shortest - 1) endingWith.set(two, [...(endingWith.get(two) ?? []), pattern]);
    }
  }
  const isAt = ({ bytes }: Pattern, window: Buffer, at: number): boolean =>
    bytes.equals(window.subarray(at, at + bytes.length));
  const overlap = Math.max(...lengths) - 1;
  return {
    buffer: Buffer.alloc(overlap + blockBytes),
    overlap,
    into(window, hit) {
      for (let last = shortest - 1; last < window.length;) {
        const two = (window[last - 1]! << 8) | window[last]!;
        const leap = leaps[two]!;
        const at = last - shortest + 1;
        if (leap === 0)
          for (const pattern of endingWith.get(two) ?? []) if (isAt(pattern, window, at)) hit(pattern, at);
        last += leap || 1;
      }
    },
  };
}

async function searchProcesses(patterns: readonly Pattern[]): Promise<CanaryFinding[]> {
  const findings: CanaryFinding[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const name = (await unlessGone(readFile(`/proc/${pid}/comm`, 'utf8')))?.trim() ?? '';
    for (const file of ['cmdline', 'environ']) {
      const content = await unlessGone(readFile(`/proc/${pid}/${file}`));
      if (content !== undefined) findings.push(...searchBytes(content, `process ${pid} ${file} (${name})`, patterns));
    }
  }
  return findings;
}

async function searchDatabase(query: Query, patterns: readonly Pattern[]): Promise<CanaryFinding[]> {
  const tables = await query(
    `select format('%I.%I', table_schema, table_name) as name from information_schema.tables
     where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema') order by 1`,
  );
  const findings: CanaryFinding[] = [];
  for (const name of tables.rows.map((row) => String(row['name']))) {
    // A row as text writes bytea in hexadecimal, which is one of the forms.
    const { rows } = await query(`select t::text as line from ${name} t`);
    for (const { line } of rows) findings.push(...searchBytes(Buffer.from(String(line)), `row of ${name}`, patterns));
  }
  return findings;
}

function searchBytes(content: Buffer, where: string, patterns: readonly Pattern[]): CanaryFinding[] {
  return patterns
    .filter(({ bytes }) => content.includes(bytes))
    .map(({ label, form }) => ({ label, form, where, offset: 0 }));
}

/** The value, or undefined when the file or process has gone meanwhile, or the process belongs to another user. */
async function unlessGone<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException;
    const foreignProcess = (code === 'EACCES' || code === 'EPERM') && path?.startsWith('/proc/') === true;
    if (code === 'ENOENT' || code === 'ESRCH' || foreignProcess) return undefined;
    throw error;
  }
}

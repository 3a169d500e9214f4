/** Where a file has data. Node cannot ask; and reading the holes of a disk takes longer than all that is in it, and pushes out of memory what others read. */
import { stat } from 'node:fs/promises';
import { AppError } from './errors.js';
import { run, systemPath } from './process.js';

/** Bytes from `from` up to, and without, `to`. */
export interface DataRange {
  from: number;
  to: number;
}

const whole: readonly DataRange[] = [{ from: 0, to: Infinity }];
/** Files below this size in bytes are read whole sooner than asked about. */
const smallBytes = 4 * 1024 * 1024;
/** One in so many blocks may hold the list of the others. */
const listShare = 64;

/**
 * The ranges of `path` outside of which there are only zeros, in order; ends may lie behind the file's. Everything where the file system
 * does not tell (tmpfs), or what it tells cannot be all. What is being written meanwhile may be missing.
 */
export async function dataRanges(path: string): Promise<readonly DataRange[]> {
  const { size, blocks } = await stat(path);
  const takenBytes = blocks * 512;
  if (size <= smallBytes || takenBytes >= size) return whole;
  const text = await listExtents(path);
  if (text === null) return whole;
  const ranges = parseExtents(text);
  const told = ranges.reduce((sum, { from, to }) => sum + to - from, 0);
  return told < takenBytes - takenBytes / listShare - smallBytes ? whole : ranges;
}

/** Null where there is no such program, or it cannot tell. */
async function listExtents(path: string): Promise<string | null> {
  const env = { LC_ALL: 'C', PATH: systemPath() };
  try {
    return (await run('filefrag', ['-e', '-s', '-b1', path], { env })).stdout;
  } catch (error) {
    if (error instanceof AppError && error.code === 'command_failed') return null;
    throw error;
  }
}

/** Extents as filefrag(8) prints them: `0: 4096..8191: …`. */
function parseExtents(text: string): DataRange[] {
  const ranges: DataRange[] = [];
  for (const [, first, last] of text.matchAll(/^ *\d+: +(\d+)\.\. *(\d+):/gm)) {
    const [from, to] = [Number(first), Number(last) + 1];
    const before = ranges.at(-1);
    if (before?.to === from) before.to = to;
    else ranges.push({ from, to });
  }
  return ranges;
}

/** Where files have data, on the file systems of this host. */
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { dataRanges } from './sparse-file.js';

const mib = 1024 * 1024;
let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'al-sparse-'));
  path = join(folder, 'a name: 0..8191: with what the program prints');
});
afterEach(() => rm(folder, { recursive: true }));

async function make(sizeBytes: number, places: readonly number[], to = path): Promise<void> {
  const file = await open(to, 'w');
  await file.truncate(sizeBytes);
  for (const at of places) await file.write('x', at);
  await file.close();
}

test('nothing is left out that a file holds', () =>
  fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 64 * mib - 1 }), { maxLength: 8 }), async (places) => {
      await make(64 * mib, places);
      const ranges = await dataRanges(path);
      for (const at of places) expect(ranges.some(({ from, to }) => from <= at && at < to)).toBe(true);
      for (const [n, { from, to }] of ranges.entries()) {
        expect(from).toBeLessThan(to);
        expect(from).toBeGreaterThan(ranges[n - 1]?.to ?? -1);
      }
    }),
    { numRuns: 30 },
  ));

test('holes are left out', async ({ skip }) => {
  await make(64 * mib, [10 * mib, 50 * mib]);
  const ranges = await dataRanges(path);
  if (ranges[0]?.to === Infinity) skip(`The file system of ${folder} does not tell where files have holes.`);
  expect(ranges.reduce((sum, { from, to }) => sum + to - from, 0)).toBeLessThan(mib);
});

test('a file that is small, or has no holes, is read whole', async () => {
  const whole = [{ from: 0, to: Infinity }];
  await make(mib, []);
  expect(await dataRanges(path)).toEqual(whole);
  await writeFile(path, Buffer.alloc(5 * mib, 1));
  expect(await dataRanges(path)).toEqual(whole);
});

test('so is one in memory, of which nobody tells', async ({ skip }) => {
  const inMemory = await mkdtemp('/dev/shm/al-sparse-').catch(() => undefined);
  if (inMemory === undefined) return skip('There is no /dev/shm here.');
  try {
    const file = join(inMemory, 'file');
    await make(64 * mib, [mib], file);
    expect(await dataRanges(file)).toEqual([{ from: 0, to: Infinity }]);
  } finally {
    await rm(inMemory, { recursive: true });
  }
});

/** The disk of a home, out of one VM's folder and into another's. */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AppError } from '@airlock/contract/errors';
import { homePaths, type HomePaths } from '@airlock/contract/home';
import { newId } from '@airlock/contract/ids';
import type { Engine, Extent } from './engine.js';
import { openTestEngine } from './testing.js';

const never = new AbortController().signal;
const [from, to] = [newId('vm'), newId('vm')];
const mib = 1024 * 1024;
let home: string;
let paths: HomePaths;
let engine: Engine;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'airlock-home-content-'));
  paths = homePaths(home);
  engine = openTestEngine(home);
});
afterEach(async () => {
  await engine.close();
  await rm(home, { recursive: true });
});

interface Piece {
  at: number;
  length: number;
}

/** A disk of random bytes at these places, and holes. */
async function makeDisk(sizeBytes: number, pieces: readonly Piece[]): Promise<void> {
  await rm(paths.vm(from), { recursive: true, force: true });
  await mkdir(paths.vm(from), { recursive: true });
  const file = await open(paths.vmFile(from, 'disk'), 'w');
  await file.truncate(sizeBytes);
  for (const { at, length } of pieces) {
    if (at < sizeBytes) await file.write(randomBytes(Math.min(length, sizeBytes - at)), 0, undefined, at);
  }
  await file.close();
}

async function copy(): Promise<Extent[]> {
  await rm(paths.vm(to), { recursive: true, force: true });
  const { sizeBytes, extents } = await engine.readHome(from);
  const parts: Extent[] = [];
  async function* noted(): AsyncGenerator<Extent> {
    for await (const part of extents) {
      parts.push(part);
      yield part;
    }
  }
  await (await engine.receiveHome(to, { sizeBytes, extents: noted() }, never)).keep();
  return parts;
}

const place = fc.oneof(
  fc.integer({ min: 0, max: 12 * mib }),
  fc.constantFrom(0, 4095, 4096, mib - 1, mib, mib + 4096, 2 * mib, 8 * mib),
);
const length = fc.oneof(fc.integer({ min: 1, max: 9000 }), fc.constantFrom(4096, mib, mib + 1));

test('every disk comes out as it went in, whatever its holes', () =>
  fc.assert(
    fc.asyncProperty(
      fc.oneof(place, fc.constant(0)),
      fc.array(fc.record({ at: place, length }), { maxLength: 5 }),
      async (sizeBytes, pieces) => {
        await makeDisk(sizeBytes, pieces);
        const parts = await copy();
        const [source, target] = [await readFile(paths.vmFile(from, 'disk')), await readFile(paths.vmFile(to, 'disk'))];
        expect(target.equals(source)).toBe(true);
        // In order, apart from each other, and nothing but blocks that hold something.
        let end = -1;
        for (const { at, bytes } of parts) {
          expect(at).toBeGreaterThan(end);
          end = at + bytes.length - 1;
          for (let block = 0; block < bytes.length; block += 4096) {
            expect(bytes.subarray(block, block + 4096).some((byte) => byte !== 0)).toBe(true);
          }
        }
      },
    ),
    { numRuns: 50 },
  ));

test('holes stay holes, and the file is its owner’s alone', async () => {
  await makeDisk(300 * mib, [{ at: 200 * mib, length: 5000 }]);
  await copy();
  const { blocks, size, mode } = await stat(paths.vmFile(to, 'disk'));
  expect([size, mode & 0o777]).toEqual([300 * mib, 0o600]);
  expect(blocks * 512).toBeLessThan(mib);
});

test('it is half a disk until it is kept, and goes with the next controller then', async () => {
  await makeDisk(mib, [{ at: 0, length: 5000 }]);
  const { keep } = await engine.receiveHome(to, await engine.readHome(from), never);
  expect(await readdir(paths.vm(to))).toEqual(['disk.ext4.partial']);
  await writeFile(join(paths.vm(to), 'root.1.img_202601011200abcdef01.ext4'), 'beside it');
  expect(await engine.dropReceived(new Set([to]))).toEqual([]);
  expect(await engine.dropReceived(new Set())).toEqual([to]);
  expect(await readdir(paths.vms)).toEqual([from]);
  await expect(keep()).rejects.toMatchObject({ code: 'ENOENT' });
});

test('one that is kept is never dropped', async () => {
  await makeDisk(mib, []);
  await copy();
  expect(await engine.dropReceived(new Set())).toEqual([]);
  expect((await readdir(paths.vms)).sort()).toEqual([from, to].sort());
});

test('nothing is left of one whose parts break off', async () => {
  async function* extents(): AsyncGenerator<Extent> {
    yield { at: 0, bytes: randomBytes(100) };
    throw new AppError('backup_invalid', 'Cut short.');
  }
  const receiving = engine.receiveHome(to, { sizeBytes: mib, extents: extents() }, never);
  await expect(receiving).rejects.toMatchObject({ code: 'backup_invalid' });
  expect(await readdir(paths.vm(to))).toEqual([]);
});

test('a home that is not there is told as that', async () => {
  await expect(engine.readHome(from)).rejects.toMatchObject({ code: 'home_unusable' });
});

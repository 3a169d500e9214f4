import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { debCacheOf, keepDebs, openDebCache, type DebCache } from './deb-cache.js';

let home: string;
let cache: DebCache;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'airlock-debs-'));
  cache = debCacheOf(join(home, 'images'));
});
afterEach(() => rm(home, { recursive: true }));

async function buildWith(...names: string[]): Promise<void> {
  for (const name of names) await writeFile(join(cache.fresh, name), `package ${name}`);
  await keepDebs(cache);
}

it('keeps what the last build used, and nothing older', async () => {
  expect(await openDebCache(cache)).toBe(0);
  await buildWith('a_1.deb', 'b_1.deb', 'lock');
  expect(await openDebCache(cache)).toBe(2);
  await buildWith('a_2.deb', 'b_1.deb');
  expect(await openDebCache(cache)).toBe(2);
  expect(await readdir(cache.debs)).toEqual(['a_2.deb', 'b_1.deb']);
});

it('drops a package that is not what it was, and one that nobody vouches for', async () => {
  await openDebCache(cache);
  await buildWith('a_1.deb', 'b_1.deb');
  await writeFile(join(cache.debs, 'a_1.deb'), 'package A_1.deb');
  await writeFile(join(cache.debs, 'c_1.deb'), 'package');
  expect(await openDebCache(cache)).toBe(1);
  expect(await readdir(cache.debs)).toEqual(['b_1.deb']);
});

it('is empty when its checksums cannot be read', async () => {
  await openDebCache(cache);
  await buildWith('a_1.deb');
  await writeFile(cache.sums, '{"a_1.deb":');
  expect(await openDebCache(cache)).toBe(0);
});

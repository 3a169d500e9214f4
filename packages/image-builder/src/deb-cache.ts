/**
 * Debian packages kept between builds in `$AIRLOCK_HOME/cache/apt`. apt takes a package of the right size from there without
 * looking into it, so their checksums are kept too, and what does not match is dropped before a build.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { replaceFile } from '@airlock/contract/file';
import { homePaths } from '@airlock/contract/home';

const Sums = z.record(z.string(), z.string());

export interface DebCache {
  /** Packages of the last build that succeeded. */
  debs: string;
  /** Where a build puts its packages. */
  fresh: string;
  sums: string;
}

export function debCacheOf(imagesFolder: string): DebCache {
  const folder = homePaths(dirname(imagesFolder)).aptCache;
  return { debs: join(folder, 'debs'), fresh: join(folder, 'fresh'), sums: join(folder, 'sha256.json') };
}

async function hashAll(folder: string): Promise<Record<string, string>> {
  const sums: Record<string, string> = {};
  for (const name of (await readdir(folder)).filter((file) => file.endsWith('.deb')).sort()) {
    sums[name] = createHash('sha256')
      .update(await readFile(join(folder, name)))
      .digest('hex');
  }
  return sums;
}

/** Makes the folders and drops every package whose checksum is unknown or another. Answers how many are kept. */
export async function openDebCache({ debs, fresh, sums }: DebCache): Promise<number> {
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { recursive: true, mode: 0o700 });
  await mkdir(debs, { recursive: true, mode: 0o700 });
  const [known, found] = await Promise.all([readSums(sums), hashAll(debs)]);
  const bad = Object.keys(found).filter((name) => known[name] !== found[name]);
  await Promise.all(bad.map((name) => rm(join(debs, name))));
  return Object.keys(found).length - bad.length;
}

async function readSums(path: string): Promise<Record<string, string>> {
  const text = await readFile(path, 'utf8').catch(() => '{}');
  try {
    return Sums.parse(JSON.parse(text));
  } catch (error) {
    // Cut off by a full disk, for example: the packages are then fetched again.
    if (error instanceof SyntaxError || error instanceof z.ZodError) return {};
    throw error;
  }
}

/** Keeps what a build has left in `fresh`, in place of what was there before. */
export async function keepDebs({ debs, fresh, sums }: DebCache): Promise<void> {
  const found = await hashAll(fresh);
  await rm(debs, { recursive: true, force: true });
  await rename(fresh, debs);
  await replaceFile(sums, JSON.stringify(found));
}

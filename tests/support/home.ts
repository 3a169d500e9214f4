/** A fresh AIRLOCK_HOME for one test, sharing only the golden image with others. */
import { mkdir, mkdtemp, realpath, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { defaultHome, homePaths } from '@airlock/contract/home';

export interface TestHome {
  path: string;
  /** Folder of the current golden image, also when this home does not have it. */
  image: string;
  remove(): Promise<void>;
}

/** The AIRLOCK_HOME whose golden image tests use: that of the environment, as `npm test` prepared it. */
export function imageHome(): string {
  return resolve(process.env['AIRLOCK_HOME'] || defaultHome());
}

/**
 * Makes a home below the temp folder (short enough for unix sockets). `withImages: false`: without images of its own.
 * @throws Error when no golden image is current: `npm test` builds it before.
 */
export async function createTestHome(options: { withImages?: boolean } = {}): Promise<TestHome> {
  const path = await mkdtemp(join(tmpdir(), 'airlock-t-'));
  const images = homePaths(imageHome()).images.folder;
  const image = await realpath(homePaths(imageHome()).images.current);
  if (options.withImages === false) await mkdir(homePaths(path).images.folder);
  else await symlink(images, homePaths(path).images.folder);
  return { path, image, remove: async () => rm(path, { recursive: true, force: true }) };
}

/**
 * Images for one test, beside the golden one: the same kernel and root under another id, with an initrd of the test's own. The golden
 * image, and every VM of another home, stay as they are.
 */
import { copyFile, lstat, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nullIfAbsent } from '@airlock/contract/file';
import { homePaths } from '@airlock/contract/home';
import { imageFiles, type ImageManifest } from '@airlock/contract/image';
import { checkFiles, hashFile } from '@airlock/contract/image-seal';
import type { TestHome } from './home.js';

export interface Variant {
  /** The golden image's own by default. */
  id?: string;
  /** The initrd, given the golden one. */
  initrd: (golden: Buffer) => Buffer;
  /** What the manifest says of versions, where that is not to be the golden image's. */
  versions?: Record<string, string>;
}

/** A home, and the folder of the image that its own are to be made of. */
export type ImageHome = Pick<TestHome, 'path' | 'image'>;

/** Adds an image to the home, which has no golden one of its own from the first on; before its first VM. Answers its id. */
export async function addImage(home: ImageHome, { id, initrd: change, versions = {} }: Variant): Promise<string> {
  const images = homePaths(home.path).images;
  // As it is written, for a program of the version that wrote it.
  const manifest = JSON.parse(await readFile(join(home.image, imageFiles.manifest), 'utf8')) as ImageManifest;
  const { kernel, initrd, rootfs } = manifest.artefacts;
  manifest.id = id ?? manifest.id;
  Object.assign(manifest.versions, versions);
  const folder = images.image(manifest.id);
  if ((await lstat(images.folder).catch(nullIfAbsent))?.isSymbolicLink()) await rm(images.folder);
  await mkdir(folder, { recursive: true });
  for (const { file } of [kernel, rootfs]) await symlink(join(home.image, file), join(folder, file));
  const bytes = change(await readFile(join(home.image, initrd.file)));
  await writeFile(join(folder, initrd.file), bytes);
  initrd.size = bytes.length;
  initrd.sha256 = await hashFile(join(folder, initrd.file));
  await writeFile(join(folder, imageFiles.manifest), JSON.stringify(manifest));
  await copyFile(join(home.image, imageFiles.seal), join(folder, imageFiles.seal));
  await checkFiles(folder, [kernel, initrd, rootfs]);
  return manifest.id;
}

/** New VMs are made from it from now on. */
export async function makeCurrent(home: Pick<TestHome, 'path'>, id: string): Promise<void> {
  const { current } = homePaths(home.path).images;
  await symlink(id, `${current}.new`);
  await rename(`${current}.new`, current);
}

/** The images of an AIRLOCK_HOME: which there are, which is current, whether one is what its manifest says. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, readdir, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { AppError } from '@airlock/contract/errors';
import { ImageManifest, imageFiles, type Artefact } from '@airlock/contract/image';

export const imagesDirOf = (home: string): string => join(home, 'images');

/** The id that `images/current` names, or null. */
export async function currentId(imagesDir: string): Promise<string | null> {
  try {
    return basename(await readlink(join(imagesDir, 'current')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** @throws AppError image_missing, or image_corrupt when the manifest cannot be read. */
export async function readManifest(imagesDir: string, id: string): Promise<ImageManifest> {
  const path = join(imagesDir, id, imageFiles.manifest);
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new AppError('image_missing', `There is no image ${id}: ${path} cannot be read.`, { hint: buildHint, cause });
  });
  try {
    return ImageManifest.parse(JSON.parse(text));
  } catch (cause) {
    throw new AppError('image_corrupt', `${path} is not a valid manifest.`, { hint: buildHint, cause });
  }
}

const buildHint = 'Run `npx airlock image build`.';

/** The manifest of the current image. @throws AppError image_missing or image_corrupt. */
export async function readCurrent(imagesDir: string): Promise<ImageManifest> {
  const id = await currentId(imagesDir);
  if (id === null) {
    throw new AppError('image_missing', `No golden image is current under ${imagesDir}.`, { hint: buildHint });
  }
  return readManifest(imagesDir, id);
}

/** Ids of all images, oldest first: ids begin with the time at which they were made. */
export async function listIds(imagesDir: string): Promise<string[]> {
  const names = await readdir(imagesDir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names.filter((name) => name.startsWith('img_')).sort();
}

/** Size and SHA-256 of a file, as the manifest holds them. */
export async function describeArtefact(folder: string, file: string): Promise<Artefact> {
  const path = join(folder, file);
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash);
  return { file, size: (await stat(path)).size, sha256: hash.digest('hex') };
}

/** True when the files are there and have their sizes: quick, and enough to tell a whole image from a half one. */
export async function looksComplete(imagesDir: string, manifest: ImageManifest): Promise<boolean> {
  const checks = Object.values(manifest.artefacts).map(async ({ file, size }) => {
    const info = await stat(join(imagesDir, manifest.id, file)).catch(() => null);
    return info?.size === size;
  });
  return (await Promise.all(checks)).every(Boolean);
}

/** @throws AppError image_corrupt naming every file that is not what the manifest says. */
export async function verifyImage(imagesDir: string, manifest: ImageManifest): Promise<void> {
  const problems: string[] = [];
  for (const expected of Object.values(manifest.artefacts)) {
    const found = await describeArtefact(join(imagesDir, manifest.id), expected.file).catch((error: Error) => error);
    if (found instanceof Error) problems.push(found.message);
    else if (found.size !== expected.size)
      problems.push(`${expected.file} has ${found.size} bytes, not ${expected.size}`);
    else if (found.sha256 !== expected.sha256) problems.push(`${expected.file} has another SHA-256`);
  }
  if (problems.length === 0) return;
  throw new AppError('image_corrupt', `Image ${manifest.id} is not what its manifest says: ${problems.join('; ')}.`, {
    hint: 'Build it again: `npx airlock image build --force`.',
  });
}

/** Makes a finished build folder an image and the current one. Both steps are renames: whole or not at all. */
export async function publish(imagesDir: string, buildFolder: string, id: string): Promise<void> {
  await rename(buildFolder, join(imagesDir, id));
  const link = join(imagesDir, '.current.new');
  await rm(link, { force: true });
  await symlink(id, link);
  await rename(link, join(imagesDir, 'current'));
}

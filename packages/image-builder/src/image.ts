/** The images of an AIRLOCK_HOME: which there are, which is current, and making one current. */
import { readFile, readdir, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { replaceFile } from '@airlock/contract/file';
import { imagesPaths } from '@airlock/contract/home';
import { ImageManifest, imageFiles, type Artefact, type GateReport } from '@airlock/contract/image';
import { hashFile } from '@airlock/contract/image-seal';
import { ImageId } from '@airlock/contract/ids';
import { addToHistory, type HistoryEntry } from './history.js';

/** The id that `images/current` names, or null. */
export async function currentId(imagesFolder: string): Promise<string | null> {
  try {
    return basename(await readlink(imagesPaths(imagesFolder).current));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

const buildHint = 'Run `npx airlock image build`.';

/** @throws AppError image_missing, or image_corrupt when the manifest cannot be read. */
export async function readManifest(imagesFolder: string, id: string): Promise<ImageManifest> {
  const path = join(imagesPaths(imagesFolder).image(id), imageFiles.manifest);
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new AppError('image_missing', `There is no image ${id}: ${path} cannot be read.`, { hint: buildHint, cause });
  });
  try {
    return ImageManifest.parse(JSON.parse(text));
  } catch (cause) {
    throw new AppError('image_corrupt', `${path} is not a valid manifest.`, { hint: buildHint, cause });
  }
}

/** Writes a manifest into an image's folder, whole or not at all. */
export async function writeManifest(folder: string, manifest: ImageManifest): Promise<void> {
  const path = join(folder, imageFiles.manifest);
  await replaceFile(path, `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o644 });
}

/** Notes in an image's manifest how it did in a VM, and leaves all else as it stands there, be it of an older version. */
export async function writeGate(folder: string, gate: GateReport): Promise<void> {
  const text = await readFile(join(folder, imageFiles.manifest), 'utf8');
  await writeManifest(folder, { ...(JSON.parse(text) as ImageManifest), gate });
}

/**
 * The manifest of the image called `name`; an id, `current`, or nothing for the current one.
 * @throws AppError image_missing, image_corrupt, or invalid_request when this cannot be the name of an image.
 */
export async function findImage(imagesFolder: string, name = 'current'): Promise<ImageManifest> {
  if (name !== 'current') {
    if (ImageId.safeParse(name).success) return readManifest(imagesFolder, name);
    throw new AppError('invalid_request', `"${name}" is not the id of an image, such as img_202601011200abcdef01.`, {
      hint: '`npx airlock image list` shows which there are.',
    });
  }
  const id = await currentId(imagesFolder);
  if (id !== null) return readManifest(imagesFolder, id);
  throw new AppError('image_missing', `No golden image is current under ${imagesFolder}.`, { hint: buildHint });
}

/** Ids of all images, oldest first: ids begin with the time at which they were made. */
export async function listIds(imagesFolder: string): Promise<string[]> {
  const names = await readdir(imagesFolder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names.filter((name) => name.startsWith('img_')).sort();
}

/** Manifests of all images that have a readable one, oldest first. */
export async function listImages(imagesFolder: string): Promise<ImageManifest[]> {
  const found = (await listIds(imagesFolder)).map(async (id) => readIfWhole(imagesFolder, id));
  return (await Promise.all(found)).filter((manifest) => manifest !== null);
}

/** The manifest, or null when there is none or it cannot be read. */
export async function readIfWhole(imagesFolder: string, id: string): Promise<ImageManifest | null> {
  return readManifest(imagesFolder, id).catch((error: unknown) => {
    if (error instanceof AppError) return null;
    throw error;
  });
}

/** Size and SHA-256 of a file, as the manifest holds them. */
export async function describeArtefact(folder: string, file: string): Promise<Artefact> {
  const path = join(folder, file);
  return { file, size: (await stat(path)).size, sha256: await hashFile(path) };
}

/** Makes a finished build folder an image, by a rename: whole or not at all. It is not current yet. */
export async function publish(imagesFolder: string, buildFolder: string, id: string): Promise<void> {
  await rename(buildFolder, imagesPaths(imagesFolder).image(id));
}

/** Makes an image the one that new VMs are made from, by a rename. Whether it may be is the caller's to know. */
export async function makeCurrent(imagesFolder: string, id: string, why: HistoryEntry['why']): Promise<void> {
  const { current } = imagesPaths(imagesFolder);
  const link = `${current}.new`;
  await rm(link, { force: true });
  await symlink(id, link);
  await rename(link, current);
  await addToHistory(imagesFolder, id, why);
}

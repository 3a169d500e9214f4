/**
 * The golden images: which folder new VMs are made from, and that its files are what the manifest says. Images are made by
 * packages/image-builder, never here.
 */
import { readFile, realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { nullIfAbsent } from '@airlock/contract/file';
import { homePaths, type ImagesPaths } from '@airlock/contract/home';
import type { ProviderId } from '@airlock/contract/provider/provider';
import { providers } from '@airlock/contract/provider/registry';
import { createShared } from '../lib/keyed.js';
import { imageFiles, ImageManifest, type Artefact } from '@airlock/contract/image';
import { checkFiles, checkSizes, fingerprint, isSealed } from '@airlock/contract/image-seal';

export interface CurrentImage {
  manifest: ImageManifest;
  /** Absolute paths of the artefacts. */
  kernel: string;
  initrd: string;
  rootfs: string;
}

export interface Images {
  /**
   * The image that new VMs are made from, as far as a quick look can tell; an image never seen before is read in the
   * background, so that a person need not wait for gigabytes.
   * @throws AppError image_missing when none is current, image_corrupt when a file is missing, has another size, or was found
   * to be another one
   */
  current(): Promise<CurrentImage>;
  /**
   * The image with this id, every file of it compared with the manifest. Files that have not been touched since they were
   * last compared cost a `stat`. A CLI VM keeps the kernel that belongs to its root.
   * @throws AppError as `current`
   */
  get(imageId: string): Promise<CurrentImage>;
  /** The id of the image that `current` would give; null when there is none. */
  currentId(): Promise<string | null>;
  /**
   * What the image with this id says of itself; its files are not looked at.
   * @throws AppError image_missing, or image_corrupt when there is no manifest that can be read
   */
  manifest(imageId: string): Promise<ImageManifest>;
  /** Stops reading. */
  close(): Promise<void>;
}

interface Loaded {
  folder: string;
  files: Artefact[];
  image: CurrentImage;
}

/** The CLIs in an image, in the order of the registry. */
export const clisOf = ({ versions }: ImageManifest): { id: ProviderId; name: string; version: string }[] =>
  Object.values(providers).flatMap(({ id, name }) => {
    const version = versions[id];
    return version === undefined ? [] : [{ id, name, version }];
  });

/** Reads `<home>/images` anew on each call: a promoted image counts for the next VM. */
export function createImages(home: string): Images {
  const paths = homePaths(home).images;
  const lifetime = new AbortController();
  /** By folder: one reading at a time, however many VMs wait for it. */
  const reading = createShared<void>();
  /** By id; an image never changes. */
  const manifests = new Map<string, ImageManifest>();
  /** By folder: what the last reading found wrong, and how the files looked then. */
  const broken = new Map<string, { why: AppError; looks: string }>();

  /** @throws AppError what the last reading found wrong, unless somebody has changed the files since. */
  async function refuseBroken({ folder, files }: Loaded): Promise<void> {
    const known = broken.get(folder);
    if (known?.looks === (await fingerprint(folder, files))) throw known.why;
  }

  const readAll = ({ folder, files }: Loaded): Promise<void> => reading.run(folder, () => read(folder, files));

  async function read(folder: string, files: Artefact[]): Promise<void> {
    const looks = await fingerprint(folder, files);
    try {
      await checkFiles(folder, files, { signal: lifetime.signal });
      broken.delete(folder);
    } catch (error) {
      const why = AppError.from(error);
      if (why.code === 'image_corrupt') broken.set(folder, { why, looks });
      throw why;
    }
  }

  return {
    async current() {
      const loaded = await load(paths, basename(paths.current));
      await refuseBroken(loaded);
      // Whoever starts a VM from it waits for the reading, and hears what it found.
      if (!(await isSealed(loaded.folder, loaded.files))) readAll(loaded).catch(() => undefined);
      return loaded.image;
    },

    async get(imageId) {
      const loaded = await load(paths, imageId);
      await refuseBroken(loaded);
      await readAll(loaded);
      return loaded.image;
    },

    async currentId() {
      const target = await realpath(paths.current).catch(nullIfAbsent);
      return target === null ? null : basename(target);
    },

    async manifest(imageId) {
      const known = manifests.get(imageId) ?? (await readManifest(await folderOf(paths, imageId)));
      manifests.set(imageId, known);
      return known;
    },

    async close() {
      lifetime.abort(new AppError('shutting_down', 'The controller is shutting down.'));
      await reading.allSettled();
    },
  };
}

async function load(paths: ImagesPaths, name: string): Promise<Loaded> {
  const folder = await folderOf(paths, name);
  const manifest = await readManifest(folder);
  const { kernel, initrd, rootfs } = manifest.artefacts;
  const files = [kernel, initrd, rootfs];
  await checkSizes(folder, files);
  const path = ({ file }: Artefact): string => join(folder, file);
  return { folder, files, image: { manifest, kernel: path(kernel), initrd: path(initrd), rootfs: path(rootfs) } };
}

/** @throws AppError image_missing */
async function folderOf(paths: ImagesPaths, name: string): Promise<string> {
  return realpath(paths.image(name)).catch((error: unknown) => {
    throw new AppError('image_missing', `There is no golden image "${name}" in ${paths.folder}.`, {
      hint: 'Build one: `npx airlock image build` (`npm run up` does it by itself).',
      cause: error,
    });
  });
}

async function readManifest(folder: string): Promise<ImageManifest> {
  const path = join(folder, imageFiles.manifest);
  try {
    return ImageManifest.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    throw new AppError('image_corrupt', `${path} is missing or not a manifest.`, {
      hint: 'Build it again: `npx airlock image build --force`.',
      cause: error,
    });
  }
}

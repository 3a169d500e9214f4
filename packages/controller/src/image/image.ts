/** The current golden image: which folder new VMs are made from. Images are made by packages/image-builder, never here. */
import { readFile, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { ImageManifest } from '@airlock/contract/image';

export interface CurrentImage {
  manifest: ImageManifest;
  /** Absolute paths of the artefacts. */
  kernel: string;
  initrd: string;
  rootfs: string;
}

export interface Images {
  /** @throws AppError image_missing when none is current, image_corrupt when a file is missing or has another size */
  current(): Promise<CurrentImage>;
  /** The image with this id: a CLI VM keeps the kernel that belongs to its disk. @throws AppError as `current` */
  get(imageId: string): Promise<CurrentImage>;
}

/** Reads `<home>/images` anew on each call: a promoted image counts for the next VM. */
export function createImages(home: string): Images {
  const load = async (name: string): Promise<CurrentImage> => {
    const folder = await realpath(join(home, 'images', name)).catch((error: unknown) => {
      throw new AppError('image_missing', `There is no golden image "${name}" in ${join(home, 'images')}.`, {
        hint: 'Build one: `npx airlock image build` (`npm run up` does it by itself).',
        cause: error,
      });
    });
    const manifest = await readManifest(folder);
    const { kernel, initrd, rootfs } = manifest.artefacts;
    await Promise.all(
      [kernel, initrd, rootfs].map((artefact) => checkSize(join(folder, artefact.file), artefact.size)),
    );
    return {
      manifest,
      kernel: join(folder, kernel.file),
      initrd: join(folder, initrd.file),
      rootfs: join(folder, rootfs.file),
    };
  };
  return { current: () => load('current'), get: load };
}

const rebuildHint = 'Build it again: `npx airlock image build --force`.';

async function readManifest(folder: string): Promise<ImageManifest> {
  const path = join(folder, 'manifest.json');
  try {
    return ImageManifest.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    throw new AppError('image_corrupt', `${path} is missing or not a manifest.`, { hint: rebuildHint, cause: error });
  }
}

async function checkSize(path: string, expected: number): Promise<void> {
  const found = await stat(path).then(
    (s) => `${s.size} bytes`,
    () => 'no such file',
  );
  if (found !== `${expected} bytes`) {
    throw new AppError('image_corrupt', `${path}: ${found}, but its manifest says ${expected} bytes.`, {
      hint: rebuildHint,
    });
  }
}

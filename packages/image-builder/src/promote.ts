/** Choosing which image is current: `promote` and `rollback`. Only an image that passed every check becomes current. */
import { imagesPaths } from '@airlock/contract/home';
import { AppError } from '@airlock/contract/errors';
import type { ImageManifest } from '@airlock/contract/image';
import { checkFiles, filesOf } from '@airlock/contract/image-seal';
import { requirePassed, type RunGate } from './build.js';
import { earlierImages, readHistory, type HistoryEntry } from './history.js';
import { currentId, findImage, makeCurrent, readIfWhole, writeGate } from './image.js';
import { takeBuildLock } from './lock.js';
import { removeFolder } from './workspace.js';

export interface ChoiceOptions {
  imagesFolder: string;
  /** Starts an image that never was: one built with `--no-gate`. Null: such an image is refused. */
  gate: RunGate | null;
  signal: AbortSignal;
  write: (line: string) => void;
}

/**
 * Makes an image current after comparing every file with its manifest.
 * @throws AppError image_missing, image_corrupt, image_check_failed, or image_build_failed while a build is running.
 */
export async function promote(options: ChoiceOptions, id: string): Promise<ImageManifest> {
  return locked(options.imagesFolder, () => choose(options, id, 'promote'));
}

/**
 * Makes the image current again that was so before; done twice, the one before that.
 * @throws AppError image_missing when there is none left to go back to; else as `promote`.
 */
export async function rollback(options: ChoiceOptions): Promise<ImageManifest> {
  const { imagesFolder } = options;
  return locked(imagesFolder, async () => {
    const current = (await currentId(imagesFolder)) ?? '';
    for (const id of earlierImages(await readHistory(imagesFolder), current)) {
      if (await readIfWhole(imagesFolder, id)) return choose(options, id, 'rollback');
    }
    throw new AppError('image_missing', 'There is no earlier image to go back to.', {
      hint: '`npx airlock image list` shows which there are; `npx airlock image promote ID` chooses one.',
    });
  });
}

async function choose(options: ChoiceOptions, id: string, why: HistoryEntry['why']): Promise<ImageManifest> {
  const { imagesFolder, signal } = options;
  const manifest = await findImage(imagesFolder, id);
  const folder = imagesPaths(imagesFolder).image(manifest.id);
  await checkFiles(folder, filesOf(manifest), { anew: true, signal });
  const gated = manifest.gate ? manifest : await startOnce(options, folder, manifest);
  requirePassed(gated);
  await makeCurrent(imagesFolder, gated.id, why);
  return gated;
}

async function startOnce(
  { gate, signal, write }: ChoiceOptions,
  folder: string,
  manifest: ImageManifest,
): Promise<ImageManifest> {
  if (!gate) return manifest;
  write(`Image ${manifest.id} was never started; starting it in a VM …`);
  const gated = { ...manifest, gate: await gate(folder, { signal, note: write, full: false }) };
  await writeGate(folder, gated.gate);
  return gated;
}

export async function locked<T>(imagesFolder: string, work: () => Promise<T>): Promise<T> {
  const release = await takeBuildLock(imagesFolder, [], removeFolder);
  try {
    return await work();
  } finally {
    await release();
  }
}

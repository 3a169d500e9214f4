/** `image verify`: compares every file with the manifest, starts the image in a VM, and has the gate try all it can. */
import { imagesPaths } from '@airlock/contract/home';
import type { ImageManifest } from '@airlock/contract/image';
import { checkFiles, filesOf } from '@airlock/contract/image-seal';
import { requirePassed, type RunGate } from './build.js';
import { writeGate } from './image.js';

export interface VerifyOptions {
  imagesFolder: string;
  /** Null: only the files are compared. */
  gate: RunGate | null;
  signal: AbortSignal;
  write: (line: string) => void;
}

/**
 * The manifest, with the gate's new report in it.
 * @throws AppError image_corrupt naming every file that is not what the manifest says, or image_check_failed.
 */
export async function verifyImage(options: VerifyOptions, manifest: ImageManifest): Promise<ImageManifest> {
  const { imagesFolder, gate, signal, write } = options;
  const folder = imagesPaths(imagesFolder).image(manifest.id);
  const files = filesOf(manifest);
  await checkFiles(folder, files, { anew: true, signal });
  write(`${files.length} files are what the manifest says; ${manifest.checks.length} checks passed when it was built.`);
  if (!gate) return manifest;
  write('Starting it in a VM …');
  const verified = { ...manifest, gate: await gate(folder, { signal, note: write, full: true }) };
  await writeGate(folder, verified.gate);
  requirePassed(verified);
  return verified;
}

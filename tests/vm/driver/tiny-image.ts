/** A golden image of the tiny guest, for a home of its own: only its manifest is the real one's. */
import { mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { homePaths } from '@airlock/contract/home';
import { imageFiles, ImageManifest } from '@airlock/contract/image';
import { hashFile } from '@airlock/contract/image-seal';
import { tinyRootDisk } from '@airlock/runner/fixtures/tiny-guest';
import type { TestHome } from '../../support/home.js';

/** Makes it the current one of a home without images. */
export async function useTinyImage(home: TestHome, kernel: Buffer): Promise<void> {
  const { images } = homePaths(home.path);
  const manifest = ImageManifest.parse(JSON.parse(await readFile(join(home.image, imageFiles.manifest), 'utf8')));
  const folder = images.image(manifest.id);
  await mkdir(folder, { recursive: true });
  const contents = { kernel, initrd: Buffer.from('no initrd'), rootfs: tinyRootDisk() };
  for (const [name, bytes] of Object.entries(contents)) {
    const artefact = manifest.artefacts[name as keyof typeof contents];
    const path = join(folder, artefact.file);
    await writeFile(path, bytes);
    Object.assign(artefact, { size: (await stat(path)).size, sha256: await hashFile(path) });
  }
  await writeFile(join(folder, imageFiles.manifest), JSON.stringify(manifest));
  await symlink(manifest.id, images.current);
}

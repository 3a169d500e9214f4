/** The golden images of an upgrade, side by side in one home; which one is current changes on the way. */
import { mkdir, rm, symlink } from 'node:fs/promises';
import { basename } from 'node:path';
import { homePaths } from '@airlock/contract/home';
import { withHelper } from '@airlock/image-builder/gate/helper';
import { measureTree } from '../support/home-tree.js';
import { addImage, makeCurrent } from '../support/image-variant.js';

export interface UpgradeImages {
  /** Ids. The older version's, whose CLI VMs get the tree of support/home-tree.ts; this version's; and one of it that does not boot. */
  older: string;
  newer: string;
  broken: string;
  use(id: string): Promise<void>;
  remove(id: string): Promise<void>;
}

/** `older`, `newer`: the folders of the two images, which stay as they are. The older one is current. */
export async function openImages(home: string, folders: { older: string; newer: string }): Promise<UpgradeImages> {
  const paths = homePaths(home).images;
  const change = (hook: string) => (initrd: Buffer) => withHelper(initrd, hook);
  await mkdir(paths.folder);
  const newer = basename(folders.newer);
  await symlink(folders.newer, paths.image(newer));
  const older = await addImage({ path: home, image: folders.older }, { initrd: change(measureTree) });
  const broken = await addImage(
    { path: home, image: folders.newer },
    { id: `${newer}x`, initrd: change("fail 'this image does not boot'\n") },
  );
  const use = (id: string): Promise<void> => makeCurrent({ path: home }, id);
  await use(older);
  return { older, newer, broken, use, remove: (id) => rm(paths.image(id), { recursive: true }) };
}

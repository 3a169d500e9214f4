/** Removing images that nobody needs any more. */
import { readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseOrNull } from '@airlock/contract/file';
import { homePaths, imagesPaths } from '@airlock/contract/home';
import { diskOfFile, imageOf, readVmSpec, rootDriveId, type VmSpec } from '@airlock/contract/runner';
import { removeDeadGates } from './gate/folders.js';
import { readHistory } from './history.js';
import { currentId, listIds } from './image.js';
import { locked } from './promote.js';

export interface Pruned {
  removed: string[];
  /** Images that stay, and why. */
  kept: { id: string; why: string }[];
  /** Bytes that became free. */
  bytes: number;
}

/** A VM that was asked for before another image became current may not have said yet which one it uses. */
const graceMs = 10 * 60_000;

/**
 * Removes all images but the current one, the `keep` newest others, those of VMs, and those that were current until just now.
 * @param home AIRLOCK_HOME, for its VMs
 */
export async function prune(imagesFolder: string, home: string, keep: number, now = Date.now()): Promise<Pruned> {
  return locked(imagesFolder, async () => {
    await removeHalfRemoved(imagesFolder);
    await removeDeadGates();
    const ids = (await listIds(imagesFolder)).toReversed();
    const reasons = await reasonsToKeep(imagesFolder, home, now);
    const spare = ids.filter((id) => !reasons.has(id));
    for (const id of spare.slice(0, keep)) reasons.set(id, `one of the ${keep} newest`);
    const removed = spare.slice(keep);
    let bytes = 0;
    for (const id of removed) bytes += await removeImage(imagesFolder, id);
    const kept = ids.filter((id) => reasons.has(id)).map((id) => ({ id, why: reasons.get(id) ?? '' }));
    return { removed, kept, bytes };
  });
}

async function reasonsToKeep(imagesFolder: string, home: string, now: number): Promise<Map<string, string>> {
  const reasons = new Map<string, string>();
  const history = await readHistory(imagesFolder);
  for (const [index, { id }] of history.entries()) {
    const endedAt = Date.parse(history[index + 1]?.at ?? '');
    if (endedAt > now - graceMs) reasons.set(id, 'current until just now');
  }
  for (const [id, vmId] of await imagesOfVms(home)) reasons.set(id, `used by ${vmId}`);
  const current = await currentId(imagesFolder);
  if (current !== null) reasons.set(current, 'current');
  return reasons;
}

/**
 * Image id → a VM that needs it. A VM's folder says so until the VM is destroyed: by the specification of its last start, and by the
 * names of its roots, of which there are two while one is being replaced. Of one that is destroyed only logs are left.
 */
async function imagesOfVms(home: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const { vms, vm, vmFile } = homePaths(home);
  for (const name of await namesIn(vms)) {
    const text = await readFile(vmFile(name, 'spec'), 'utf8').catch(() => null);
    // What cannot be read is of nothing that ever ran: a runner refuses such a file too.
    const spec = text === null ? null : parseOrNull(text, readVmSpec);
    if (spec && (await isThere(spec))) found.set(imageOf(spec), name);
    for (const file of await namesIn(vm(name))) {
      const root = diskOfFile(file)?.root;
      if (root) found.set(root.imageId, name);
    }
  }
  return found;
}

/** Empty where there is no such folder. */
async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return [];
    throw error;
  });
}

/** A CLI VM lives as long as its root, a browser VM as long as its config drive. */
async function isThere(spec: VmSpec): Promise<boolean> {
  const root = spec.drives.find(({ id }) => id === rootDriveId);
  const sign = spec.kind === 'cli' ? root?.path : spec.secretFolder;
  return sign !== undefined && (await stat(sign).catch(() => null)) !== null;
}

const removedPrefix = '.removed-';

/** What a killed `prune` has left. */
async function removeHalfRemoved(imagesFolder: string): Promise<void> {
  for (const name of await readdir(imagesFolder)) {
    if (name.startsWith(removedPrefix)) await rm(join(imagesFolder, name), { recursive: true });
  }
}

/** Renamed first: what is half removed has no name that anything looks for. */
async function removeImage(imagesFolder: string, id: string): Promise<number> {
  const folder = imagesPaths(imagesFolder).image(id);
  const gone = join(imagesFolder, `${removedPrefix}${id}`);
  await rename(folder, gone);
  const sizes = (await readdir(gone)).map(async (name) => (await stat(join(gone, name))).blocks * 512);
  const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  await rm(gone, { recursive: true });
  return bytes;
}

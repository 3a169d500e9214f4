/**
 * The two folders of a gate's VM: one on disk, one in memory for secrets. Their names say which process they belong to, so
 * that whoever comes next removes those of a process that was killed.
 */
import { mkdtemp, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { findMemoryFolder } from '@airlock/contract/memory-folder';
import { identifyProcess } from '@airlock/contract/process';
import type { ProcessIdentity } from '@airlock/contract/runner';
import { removeFolder, workRoot } from '../workspace.js';

export interface GateFolders {
  folder: string;
  /** In memory. */
  secretFolder: string;
  /** May be called again. */
  remove(): Promise<void>;
}

/** Where each of the two is made. */
interface Places {
  disk: string;
  memory: string;
}

async function usualPlaces(): Promise<Places> {
  const memory = await findMemoryFolder();
  // Of an image that nobody signs in to: its secrets open nothing once the gate has ended.
  return { disk: workRoot, memory: 'path' in memory ? memory.path : workRoot };
}

const prefixOf = ({ pid, startTicks, bootId }: ProcessIdentity): string =>
  `airlock-gate-${pid}-${startTicks}-${bootId.slice(0, 8)}-`;

/** Makes the folders of this process, after removing those of dead ones. */
export async function makeGateFolders(given?: Places): Promise<GateFolders> {
  const places = given ?? (await usualPlaces());
  await removeDeadGates(places);
  const owner = await identifyProcess(process.pid);
  if (!owner) throw new AppError('internal', `Process ${process.pid} finds no entry of itself in /proc.`);
  const folder = await mkdtemp(join(places.disk, prefixOf(owner)));
  const secretFolder = await mkdtemp(join(places.memory, prefixOf(owner)));
  const remove = async (): Promise<void> => {
    await Promise.all([folder, secretFolder].map(removeFolder));
  };
  return { folder, secretFolder, remove };
}

/** Removes what killed gates of this user have left, after ending what still works there. Answers the folders removed. */
export async function removeDeadGates(given?: Places): Promise<string[]> {
  const removed: string[] = [];
  for (const place of new Set(Object.values(given ?? (await usualPlaces())) as string[])) {
    for (const name of await readdir(place)) {
      const path = join(place, name);
      if (!(await isDead(name)) || (await stat(path).catch(() => null))?.uid !== process.getuid?.()) continue;
      await removeFolder(path);
      removed.push(path);
    }
  }
  return removed;
}

/** Whether `name` is that of a gate's folder whose process no longer runs. */
async function isDead(name: string): Promise<boolean> {
  const pid = /^airlock-gate-([1-9]\d*)-\d+-[0-9a-f]{8}-/.exec(name)?.[1];
  if (pid === undefined) return false;
  const now = await identifyProcess(Number(pid));
  return now === null || !name.startsWith(prefixOf(now));
}

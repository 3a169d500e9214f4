/** Removing what a VM that has ended leaves in its folder; its logs stay. */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { VmId } from '@airlock/contract/ids';
import { runnerFiles } from '@airlock/contract/runner';
import { dropClient, type EngineContext } from './context.js';
import { forgetSecrets } from './stop.js';

/** What `remove` keeps. */
const keptFiles: readonly string[] = [
  runnerFiles.spec,
  runnerFiles.status,
  runnerFiles.runnerLog,
  runnerFiles.serialLog,
  runnerFiles.vmmLog,
];

/** See `Engine.remove`. */
export async function remove(ctx: EngineContext, vmId: string): Promise<void> {
  await dropClient(ctx, vmId);
  await forgetSecrets(ctx, vmId);
  const folder = ctx.paths.vm(vmId);
  const held = await heldIn(folder);
  await Promise.all(held.map((name) => rm(join(folder, name), { recursive: true, force: true })));
}

/** See `Engine.lost`. */
export async function lost({ paths }: EngineContext, known: ReadonlySet<string>): Promise<string[]> {
  const folders = (await unknownIn(paths.vms, known)).map((id) => paths.vm(id));
  const words = folders.map(async (folder) => {
    const held = await heldIn(folder).catch(nullIfClosed);
    if (held === null) return [`${folder} (may not be looked into)`];
    return held.length > 0 ? [folder] : [];
  });
  return (await Promise.all(words)).flat();
}

/** See `Engine.prune`. */
export async function prune({ paths }: EngineContext, known: ReadonlySet<string>, before: Date): Promise<string[]> {
  const removed: string[] = [];
  for (const id of await unknownIn(paths.vms, known)) {
    const folder = paths.vm(id);
    const held = await heldIn(folder).catch(nullIfClosed);
    if (held === null || held.length > 0 || (await lastTouched(folder)) >= before.getTime()) continue;
    await rm(folder, { recursive: true, force: true });
    removed.push(id);
  }
  return removed;
}

/** The ids of VMs that have a folder in `vms` and are not `known`; what else lies there is no concern of the engine. */
export const unknownIn = async (vms: string, known: ReadonlySet<string>): Promise<string[]> =>
  (await namesIn(vms)).filter((name) => VmId.safeParse(name).success && !known.has(name));

/** When something in the folder was written, or taken away, for the last time. */
async function lastTouched(folder: string): Promise<number> {
  const paths = [folder, ...(await namesIn(folder)).map((name) => join(folder, name))];
  return Math.max(...(await Promise.all(paths.map(async (path) => (await stat(path)).mtimeMs))));
}

const heldIn = async (folder: string): Promise<string[]> =>
  (await namesIn(folder)).filter((name) => !keptFiles.includes(name));

/** Empty where there is no such folder. */
async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return [];
    throw error;
  });
}

export function nullIfClosed(error: NodeJS.ErrnoException): null {
  if (error.code === 'EACCES') return null;
  throw error;
}

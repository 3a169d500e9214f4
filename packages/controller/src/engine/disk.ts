/** The disks of CLI VMs: roots, which are full copies of images and never copy-on-write layers, and homes. */
import { open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { makePrivateFolder, nullIfAbsent } from '@airlock/contract/file';
import { run } from '@airlock/contract/process';
import { diskOfFile, partialEnding, rootFile, type VmRoot } from '@airlock/contract/runner';
import type { EngineContext } from './context.js';
import type { Engine } from './engine.js';

const gibBytes = 1024 ** 3;
/** Where Debian has mkfs.ext4, which is not on the path of every user. */
const systemPath = ['/usr/local/sbin', '/usr/sbin', '/sbin'];
/** Words before a program that is to be in nobody's way. */
const lowWeight = ['nice', '-n', '19', 'ionice', '-c', '3'];

export const rootPath = ({ paths }: Pick<EngineContext, 'paths'>, vmId: string, root: VmRoot): string =>
  root.number === 0 ? paths.vmFile(vmId, 'disk') : join(paths.vm(vmId), rootFile(root));

/** See `Engine.createRoot`. */
export async function createRoot(
  ctx: EngineContext,
  { vmId, root }: { vmId: string; root: VmRoot },
  { low, signal }: Parameters<Engine['createRoot']>[2],
): Promise<void> {
  const target = rootPath(ctx, vmId, root);
  const { rootfs } = await ctx.imageFiles(root.imageId);
  const copy = ['cp', '--sparse=always', '--reflink=never', '--', rootfs];
  await makeDisk(target, signal, (partial) => [...(low ? lowWeight : []), ...copy, partial]);
}

/** See `Engine.createHome`. */
export async function createHome(ctx: EngineContext, vmId: string, gib: number, signal: AbortSignal): Promise<void> {
  const format = ['mkfs.ext4', '-q', '-F', '-O', 'encrypt', '-L', 'airlock-home', '-m', '0'];
  await makeDisk(ctx.paths.vmFile(vmId, 'disk'), signal, (partial) => [...format, partial], gib * gibBytes);
}

/** See `Engine.keepRoots`. What is kept is on the disk before anything is removed: a host that loses power then has one of them. */
export async function keepRoots({ paths }: EngineContext, vmId: string, numbers: readonly number[]): Promise<void> {
  const folder = paths.vm(vmId);
  const spare: string[] = [];
  for (const name of (await readdir(folder).catch(nullIfAbsent)) ?? []) {
    const { root = null, isWhole } = diskOfFile(name) ?? {};
    if (root === null) continue;
    if (isWhole && numbers.includes(root.number)) await flush(join(folder, name));
    else spare.push(name);
  }
  for (const name of spare) await rm(join(folder, name), { force: true });
}

async function flush(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.datasync();
  } finally {
    await file.close();
  }
}

/** See `Engine.growHome`. */
export async function growHome({ paths }: EngineContext, vmId: string, gib: number): Promise<void> {
  const path = paths.vmFile(vmId, 'disk');
  const file = await open(path, 'r+').catch((cause: NodeJS.ErrnoException) => {
    throw cause.code === 'ENOENT' ? homeGone(vmId, path, cause) : cause;
  });
  try {
    if ((await file.stat()).size < gib * gibBytes) await file.truncate(gib * gibBytes);
  } finally {
    await file.close();
  }
}

function homeGone(vmId: string, path: string, cause: unknown): AppError {
  return new AppError('home_unusable', `The home of ${vmId} is gone: there is no ${path}.`, {
    hint: 'Put the file back, or a backup of the home: `npx airlock vm restore`.',
    cause,
  });
}

/**
 * Has a program write `target`, unless it is there. It appears under its name only when whole; `size` bytes long from the beginning,
 * if that is given.
 * @throws AppError disk_full (nothing is left of it), aborted, command_failed
 */
async function makeDisk(
  target: string,
  signal: AbortSignal,
  command: (partial: string) => string[],
  size?: number,
): Promise<void> {
  signal.throwIfAborted();
  await makePrivateFolder(dirname(target));
  if ((await stat(target).catch(nullIfAbsent)) !== null) return;
  const partial = `${target}${partialEnding}`;
  try {
    await rm(partial, { force: true });
    if (size !== undefined) await makeSparse(partial, size);
    const [program = '', ...words] = command(partial);
    await run(program, words, { signal, env: { LC_ALL: 'C', PATH: searchPath() } });
    await rename(partial, target);
  } catch (error) {
    await rm(partial, { force: true });
    if (!(error instanceof AppError && /No space left on device/.test(error.message))) throw error;
    throw new AppError(
      'disk_full',
      `The disk below ${dirname(target)} became full while a CLI VM’s was written to it.`,
      {
        hint: 'Free some space below AIRLOCK_HOME, or remove CLI VMs that nobody uses (`npx airlock vm list`).',
        cause: error,
      },
    );
  }
}

async function makeSparse(path: string, size: number): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.truncate(size);
  } finally {
    await file.close();
  }
}

const searchPath = (): string => [process.env['PATH'] ?? '', ...systemPath].join(':');

/**
 * The disks of CLI VMs: roots, which are full copies of images and never copy-on-write layers, and homes. A disk gets its name when all
 * of it has reached the host's own disk: whatever is killed or loses power meanwhile, half a one is found as such, and made anew.
 */
import { open, readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { flush, makePrivateFolder, nullIfAbsent } from '@airlock/contract/file';
import { atLowWeight } from '@airlock/contract/low-weight';
import { isNotInstalled, run, systemPath } from '@airlock/contract/process';
import { diskOfFile, partialEnding, rootFile, type VmRoot } from '@airlock/contract/runner';
import type { EngineContext } from './context.js';
import type { Engine } from './engine.js';

const gibBytes = 1024 ** 3;
/** Named one by one: what is usual differs between hosts, and the guest's kernel may be an older one than the host's. */
const features = [
  ...['none', 'has_journal', 'ext_attr', 'resize_inode', 'dir_index', 'filetype', 'extent', '64bit', 'flex_bg'],
  ...['sparse_super', 'large_file', 'huge_file', 'dir_nlink', 'extra_isize', 'metadata_csum', 'encrypt'],
].join();
const format = ['mkfs.ext4', '-q', '-F', '-L', 'airlock-home', '-m', '0', '-b', '4096', '-I', '256', '-O', features];

/** Where the root of the VM is; that with the number 0 is on the disk of its home. */
export const rootPath = ({ paths }: Pick<EngineContext, 'paths'>, vmId: string, root: VmRoot): string =>
  root.number === 0 ? paths.vmFile(vmId, 'disk') : join(paths.vm(vmId), rootFile(root));

/** See `Engine.createRoot`. */
export async function createRoot(
  ctx: EngineContext,
  { vmId, root }: { vmId: string; root: VmRoot },
  { low, signal }: Parameters<Engine['createRoot']>[2],
): Promise<void> {
  await makeDisk(rootPath(ctx, vmId, root), signal, async (partial) => {
    const { rootfs } = await ctx.imageFiles(root.imageId);
    // Ends with the controller, whose successor begins anew.
    const copy = [
      'setpriv',
      '--pdeathsig=KILL',
      '--',
      'cp',
      '--sparse=always',
      '--reflink=never',
      '--',
      rootfs,
      partial,
    ];
    const command = low ? atLowWeight(19, ['ionice', '-t', '-c', '3', ...copy]) : copy;
    return { sizeBytes: (await stat(rootfs)).size, write: () => runProgram(command, signal) };
  });
}

/** See `Engine.createHome`. */
export async function createHome(ctx: EngineContext, vmId: string, gib: number, signal: AbortSignal): Promise<void> {
  const sizeBytes = gib * gibBytes;
  await makeDisk(ctx.paths.vmFile(vmId, 'disk'), signal, async (partial) => ({
    sizeBytes,
    async write() {
      await makeSparse(partial, sizeBytes);
      await runProgram([...format, partial], signal);
    },
  }));
}

/** See `Engine.growHome`. */
export async function growHome({ paths }: EngineContext, vmId: string, gib: number): Promise<void> {
  const path = paths.vmFile(vmId, 'disk');
  const file = await open(path, 'r+').catch((cause: unknown) => {
    throw homeUnusable(vmId, path, cause);
  });
  try {
    if ((await file.stat()).size < gib * gibBytes) await file.truncate(gib * gibBytes);
  } finally {
    await file.close();
  }
}

export function homeUnusable(vmId: string, path: string, cause: unknown): AppError {
  return new AppError('home_unusable', `The disk ${path} with the home of ${vmId} cannot be opened.`, {
    hint: 'Put the file back, or restore a backup of the home: `npx airlock vm restore`.',
    cause,
  });
}

/** See `Engine.keepRoots`. What is kept is durable before anything is removed: a host that loses power then has one of them. */
export async function keepRoots({ paths }: EngineContext, vmId: string, numbers: readonly number[]): Promise<void> {
  const folder = paths.vm(vmId);
  const roots = ((await readdir(folder).catch(nullIfAbsent)) ?? []).flatMap((name) => {
    const { root = null, isWhole = false } = diskOfFile(name) ?? {};
    return root === null ? [] : [{ path: join(folder, name), isKept: isWhole && numbers.includes(root.number) }];
  });
  if (roots.every(({ isKept }) => isKept)) return;
  for (const { path } of roots.filter(({ isKept }) => isKept)) await flush(path);
  for (const { path } of roots.filter(({ isKept }) => !isKept)) await rm(path, { force: true });
}

interface Making {
  /** Apparent size of the disk. */
  sizeBytes: number;
  write(): Promise<void>;
}

/**
 * Makes `target`, unless it is there, by way of `partial`; of what fails nothing is left.
 * @throws AppError disk_full, what `prepare` and `write` throw, or the signal's reason
 */
async function makeDisk(
  target: string,
  signal: AbortSignal,
  prepare: (partial: string) => Promise<Making>,
): Promise<void> {
  signal.throwIfAborted();
  if ((await stat(target).catch(nullIfAbsent)) !== null) return;
  const partial = `${target}${partialEnding}`;
  const { sizeBytes, write } = await prepare(partial);
  await makePrivateFolder(dirname(target));
  try {
    await rm(partial, { force: true });
    await write();
    await flush(partial);
    await rename(partial, target);
    await flush(dirname(target));
  } catch (error) {
    await rm(partial, { force: true });
    signal.throwIfAborted();
    throw isFull(error) ? await diskFull(target, sizeBytes, error) : error;
  }
}

async function makeSparse(path: string, sizeBytes: number): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.truncate(sizeBytes);
  } finally {
    await file.close();
  }
}

/** @throws AppError host_unsupported when it is not installed, command_failed, aborted */
async function runProgram([program = '', ...words]: readonly string[], signal: AbortSignal): Promise<void> {
  try {
    await run(program, words, { signal, env: { LC_ALL: 'C', PATH: systemPath() } });
  } catch (error) {
    if (!isNotInstalled(error)) throw error;
    throw new AppError('host_unsupported', `No disk can be made for a CLI VM: ${AppError.from(error).message}`, {
      hint: 'Install what Airlock needs: `node scripts/host-packages.mjs run` (mkfs.ext4 is in e2fsprogs).',
      cause: error,
    });
  }
}

export const isFull = (error: unknown): boolean =>
  /No space left on device|Disk quota exceeded|ENOSPC|EDQUOT/.test(error instanceof Error ? error.message : '');

/** Asked when nothing of the disk is left any more. */
export async function diskFull(target: string, sizeBytes: number, cause: unknown): Promise<AppError> {
  const { bavail, bsize } = await statfs(dirname(target));
  const free = gib(bavail * bsize);
  return new AppError('disk_full', `${target} may become ${gib(sizeBytes)} large; ${free} are free where it lies.`, {
    hint: 'Free some space below AIRLOCK_HOME, or remove CLI VMs that nobody uses (`npx airlock vm list`).',
    cause,
  });
}

const gib = (bytes: number): string => `${(bytes / gibBytes).toFixed(1)} GiB`;

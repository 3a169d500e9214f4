/** What this host has left for one more VM. */
import { readFile, stat, statfs } from 'node:fs/promises';
import { AppError } from '@airlock/contract/errors';
import { makePrivateFolder } from '@airlock/contract/file';
import type { EngineContext } from './context.js';
import type { Needs } from './engine.js';

/** Bytes that must stay free on the host after a copy, so that logs and database can still be written. */
const reserveBytes = 512 * 1024 * 1024;

/** See `Engine.requireRoom`. */
export async function requireRoom(ctx: EngineContext, { memoryMib, diskOf }: Needs): Promise<void> {
  await requireMemory(memoryMib);
  if (diskOf !== null) await requireDisk(ctx, (await ctx.imageFiles(diskOf)).rootfs);
}

/** @throws AppError capacity_exhausted when less than `memoryMib` is available, by the kernel's own estimate */
async function requireMemory(memoryMib: number): Promise<void> {
  const available = /^MemAvailable:\s+(\d+) kB/m.exec(await readFile('/proc/meminfo', 'utf8'))?.[1];
  const availableMib = Math.floor(Number(available) / 1024);
  if (availableMib >= memoryMib) return;
  throw new AppError(
    'capacity_exhausted',
    `A VM needs ${memoryMib} MiB of memory; ${availableMib} MiB are available on this machine.`,
    { hint: 'Wait until another sign-in has ended, or give the machine more memory.' },
  );
}

/** @throws AppError disk_full when a copy of `source` has no room */
export async function requireDisk({ paths }: EngineContext, source: string): Promise<void> {
  await makePrivateFolder(paths.vms);
  const [{ blocks }, { bavail, bsize }] = await Promise.all([stat(source), statfs(paths.vms)]);
  const needed = blocks * 512 + reserveBytes;
  if (bavail * bsize < needed) throw diskFull(paths.vms, needed, bavail * bsize);
}

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

export function diskFull(folder: string, needed: number, free: number): AppError {
  return new AppError('disk_full', `The disk of a CLI VM needs ${gib(needed)} in ${folder}; ${gib(free)} are free.`, {
    hint: 'Free some space below AIRLOCK_HOME, or remove CLI VMs that nobody uses (`npx airlock vm list`).',
  });
}

/** Disks of the test host: ext4 file systems in sparse files, written and read without a mount and without root rights. */
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run, systemPath } from '@airlock/contract/process';

/** Labels by which the host finds what it was given. */
export const labels = {
  host: 'kvm-host',
  project: 'kvm-project',
  images: 'kvm-images',
  programs: 'kvm-programs',
  results: 'kvm-results',
} as const;

export interface DiskContent {
  label: (typeof labels)[keyof typeof labels];
  /** What is in it, as it is. */
  folder: string;
  sizeMib: number;
}

const env = { PATH: systemPath() };

/** Appears at `path` whole or not at all. */
export async function makeDisk(
  path: string,
  { label, folder, sizeMib }: DiskContent,
  signal: AbortSignal,
): Promise<void> {
  const draft = `${path}.${process.pid}`;
  try {
    const file = await open(draft, 'wx', 0o600);
    await file.truncate(sizeMib * 1024 * 1024);
    await file.close();
    const options = ['-q', '-F', '-m', '0', '-L', label, '-E', 'nodiscard', '-d', folder];
    await run('mkfs.ext4', [...options, draft], { env, signal });
    await rename(draft, path);
  } finally {
    await rm(draft, { force: true });
  }
}

/** The text of a file of a disk that nobody has mounted; empty when there is none. */
export async function readFromDisk(disk: string, file: string): Promise<string> {
  return (await run('debugfs', ['-R', `cat /${file}`, disk], { env })).stdout;
}

/** Copies all that is on the disk into the folder `to`, which is there. */
export async function copyFromDisk(disk: string, to: string): Promise<void> {
  await run('debugfs', ['-R', `rdump / "${to}"`, disk], { env });
  await rm(join(to, 'lost+found'), { recursive: true, force: true });
}

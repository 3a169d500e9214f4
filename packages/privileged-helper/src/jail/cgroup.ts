/**
 * The limits of one VMM: memory, processes, and its share of processors and disk, by cgroups of version 2 (in the part of the tree that
 * systemd has delegated to this service) or 1. Leaves nothing behind after `removeCgroups`, which may be called in any state.
 */
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { AppError } from '@airlock/contract/errors';
import { nullIfAbsent } from '@airlock/contract/file';

export interface Limits {
  memoryMib: number;
  cpus: number;
}

/** What a VMM needs beside the memory of its guest, in MiB: 512 of translated code under emulation, devices, tables. */
const overheadMib = 1024;
const maxProcesses = 512;
const mount = '/sys/fs/cgroup';
/** Milliseconds. */
const emptyMs = 10_000;
const pollMs = 20;

interface Setting {
  controller: 'memory' | 'pids' | 'cpu' | 'io';
  v1: { controller: string; file: string; value: string };
  v2: { file: string; value: string };
}

/** As the kernel's files take them. Pure. */
export function settingsFor({ memoryMib, cpus }: Limits): Setting[] {
  const bytes = String((memoryMib + overheadMib) * 1024 * 1024);
  const setting = (controller: Setting['controller'], v2: [string, string], v1: [string, string, string]): Setting => ({
    controller,
    v2: { file: v2[0], value: v2[1] },
    v1: { controller: v1[0], file: v1[1], value: v1[2] },
  });
  return [
    setting('memory', ['memory.max', bytes], ['memory', 'memory.limit_in_bytes', bytes]),
    setting('pids', ['pids.max', String(maxProcesses)], ['pids', 'pids.max', String(maxProcesses)]),
    setting('cpu', ['cpu.weight', String(100 * cpus)], ['cpu', 'cpu.shares', String(1024 * cpus)]),
    // The same for each VM: what counts is that it is one among others, however many processes it has.
    setting('io', ['io.weight', 'default 100'], ['blkio', 'blkio.weight', '500']),
  ];
}

/** Why none can be made, in one sentence; null when they can. */
export async function cgroupProblem(root = mount): Promise<string | null> {
  const wanted = settingsFor({ memoryMib: 0, cpus: 1 });
  const own = await ownGroup(root);
  if (own !== null) {
    const missing = await missingOf(
      own,
      wanted.map(({ controller }) => controller),
    );
    return missing === null ? null : unavailable(missing).message;
  }
  const there = (await readdir(root).catch(nullIfAbsent)) ?? [];
  const missing = wanted.map(({ v1 }) => v1.controller).filter((name) => !there.includes(name));
  return missing.length === 0 ? null : unavailable(`there is no ${root}/${missing.join(`, ${root}/`)}`).message;
}

async function missingOf(own: string, controllers: readonly string[]): Promise<string | null> {
  const offered = (await readFile(join(own, 'cgroup.controllers'), 'utf8')).trim().split(' ');
  const missing = controllers.filter((name) => !offered.includes(name));
  return missing.length === 0 ? null : `controllers that are not delegated to ${own}: ${missing.join(', ')}`;
}

/** Makes the cgroups of a VM and answers their folders. @throws AppError cgroup_unavailable; the caller removes what was made */
export async function makeCgroups(vmId: string, limits: Limits, root = mount): Promise<string[]> {
  const wanted = settingsFor(limits);
  const own = await ownGroup(root);
  if (own !== null) {
    const folder = join(own, vmId);
    await delegate(
      own,
      wanted.map(({ controller }) => controller),
    );
    await limited(
      folder,
      wanted.map(({ v2 }) => v2),
    );
    return [folder];
  }
  const folders: string[] = [];
  for (const { v1 } of wanted) {
    const folder = join(root, v1.controller, 'airlock', vmId);
    await limited(folder, [v1]);
    folders.push(folder);
  }
  return folders;
}

/** The cgroup of this service under version 2; null under version 1. */
async function ownGroup(root: string): Promise<string | null> {
  const controllers = await readFile(join(root, 'cgroup.controllers'), 'utf8').catch(nullIfAbsent);
  if (controllers === null) return null;
  const line = /^0::(.*)$/m.exec(await readFile('/proc/self/cgroup', 'utf8'));
  const path = join(root, line?.[1] ?? '/');
  // Once this process has stepped aside, below.
  return path.endsWith('/helper') ? dirname(path) : path;
}

/** Passes the controllers on to the cgroups below: nothing runs in this one itself, since `stepAside`. */
async function delegate(own: string, controllers: readonly string[]): Promise<void> {
  const missing = await missingOf(own, controllers);
  if (missing !== null) throw unavailable(missing);
  await attempt(() => writeFile(join(own, 'cgroup.subtree_control'), controllers.map((name) => `+${name}`).join(' ')));
}

/**
 * Under version 2 a cgroup with processes of its own gives none of its controllers on: this process, and all that it starts from now on,
 * steps into one beside those of VMs. @throws AppError cgroup_unavailable
 */
export async function stepAside(root = mount): Promise<void> {
  const own = await ownGroup(root);
  if (own === null) return;
  await attempt(async () => {
    await mkdir(join(own, 'helper'), { recursive: true });
    await writeFile(join(own, 'helper', 'cgroup.procs'), String(process.pid));
  });
}

async function limited(folder: string, settings: readonly { file: string; value: string }[]): Promise<void> {
  await attempt(async () => {
    // Again where the last of other VMs has just taken the folder of all away.
    await mkdir(folder, { recursive: true }).catch(() => mkdir(folder, { recursive: true }));
    for (const { file, value } of settings) {
      // A disk scheduler without weights has no such file: nothing to divide by it.
      const optional = file === 'blkio.weight' || file === 'io.weight';
      if (optional && !(await readdir(folder)).includes(file)) continue;
      await writeFile(join(folder, file), value);
    }
  });
}

async function attempt(make: () => Promise<void>): Promise<void> {
  try {
    await make();
  } catch (cause) {
    throw unavailable((cause as Error).message, cause);
  }
}

const unavailable = (what: string, cause?: unknown): AppError =>
  new AppError('cgroup_unavailable', `A cgroup with the limits of a VM cannot be made: ${what}.`, {
    hint: 'Under systemd the unit of the helper needs Delegate=yes; deploy/airlock-helper@.service has it.',
    cause,
  });

export async function enterCgroups(folders: readonly string[], pid: number): Promise<void> {
  for (const folder of folders) await attempt(() => writeFile(join(folder, 'cgroup.procs'), String(pid)));
}

/** Of a VM of which nothing runs any more. */
export async function removeCgroups(vmId: string, root = mount): Promise<void> {
  const own = await ownGroup(root);
  const names = own === null ? ['memory', 'pids', 'cpu', 'blkio'].map((name) => join(root, name, 'airlock')) : [own];
  for (const parent of names) {
    await removeOnceEmpty(join(parent, vmId));
    // The folder of all VMs goes with the last of them; a cgroup that systemd has made is not ours.
    if (own === null) await rmdir(parent).catch(nullIfKept);
  }
}

/** The kernel keeps a cgroup for a moment longer than its last process. */
async function removeOnceEmpty(folder: string): Promise<void> {
  const deadline = Date.now() + emptyMs;
  for (;;) {
    const isBusy = await rmdir(folder).then(
      () => false,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return false;
        if (error.code === 'EBUSY' && Date.now() < deadline) return true;
        throw unavailable(error.message, error);
      },
    );
    if (!isBusy) return;
    await pause(pollMs);
  }
}

function nullIfKept(error: NodeJS.ErrnoException): null {
  if (['ENOENT', 'EBUSY', 'ENOTEMPTY'].includes(error.code ?? '')) return null;
  throw error;
}

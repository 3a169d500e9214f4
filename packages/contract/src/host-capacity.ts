/** What this host has, and what the VMs of one home have of it: from the kernel, and from the folders of the VMs. */
import { readdir, readFile, stat, statfs } from 'node:fs/promises';
import { freemem, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { needOf, type Amounts, type HostCapacity, type VmUse } from './capacity.js';
import { nullIfAbsent, parseOrNull } from './file.js';
import { homePaths } from './home.js';
import { VmId } from './ids.js';
import { isRunning } from './process.js';
import { diskOfFile, readVmSpec, type ProcessIdentity } from './runner.js';
import { readStatusFile } from './status-file.js';

const mib = 1024 * 1024;

export async function readHostCapacity(home: string): Promise<HostCapacity> {
  const [memory, disk, vms] = await Promise.all([readMemory(), readDisk(home), readVms(home)]);
  return { memory, disk, vms };
}

/** By the kernel's own estimate of what new programs can have. */
async function readMemory(): Promise<HostCapacity['memory']> {
  const text = (await readFile('/proc/meminfo', 'utf8').catch(nullIfAbsent)) ?? '';
  const kib = /^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1];
  return {
    totalMib: Math.floor(totalmem() / mib),
    availableMib: Math.floor(kib === undefined ? freemem() / mib : Number(kib) / 1024),
  };
}

/** The nearest folder that exists is on the file system that the home will be on. */
async function readDisk(home: string): Promise<HostCapacity['disk']> {
  let path = homePaths(home).vms;
  while (!(await stat(path).catch(nullIfAbsent)) && path !== dirname(path)) path = dirname(path);
  const { bavail, bsize } = await statfs(path);
  return { path, freeMib: Math.floor((bavail * bsize) / mib) };
}

async function readVms(home: string): Promise<VmUse[]> {
  const { vms, vm, vmFile } = homePaths(home);
  const names = (await readdir(vms).catch(nullIfAbsent)) ?? [];
  const ids = names.filter((name) => VmId.safeParse(name).success);
  const uses = ids.map(async (vmId): Promise<VmUse> => {
    const files = { spec: vmFile(vmId, 'spec'), status: vmFile(vmId, 'status') };
    const [memory, { disk, disks }] = await Promise.all([memoryOf(files), disksOf(vm(vmId))]);
    return {
      vmId,
      promised: { memoryMib: memory.promisedMib, diskMib: disk.promisedMib },
      taken: { memoryMib: memory.takenMib, diskMib: disk.takenMib },
      disks,
    };
  });
  return (await Promise.all(uses)).filter(({ promised }) => total(promised) > 0);
}

const total = ({ memoryMib, diskMib }: Amounts): number => memoryMib + diskMib;

interface Use {
  promisedMib: number;
  takenMib: number;
}
const nothing: Use = { promisedMib: 0, takenMib: 0 };

/** Of a VM that runs. */
async function memoryOf(files: { spec: string; status: string }): Promise<Use> {
  const status = await readStatusFile(files.status).catch(nullIfOutOfReach);
  const spec = await readParsed(files.spec, readVmSpec);
  if (!status || !spec || !(await isRunning(status.runner))) return nothing;
  const processes = [status.runner, ...(status.vmm === null ? [] : [status.vmm])];
  const taken = await Promise.all(processes.map(residentMib));
  return { promisedMib: needOf(spec).memoryMib, takenMib: taken.reduce((sum, one) => sum + one, 0) };
}

/** Null for what is not there, or no version of Airlock writes: a folder that somebody else left stands in nobody's way. */
async function readParsed<T>(path: string, parse: (text: string) => T): Promise<T | null> {
  const text = await readFile(path, 'utf8').catch(nullIfOutOfReach);
  return text === null ? null : parseOrNull(text, parse);
}

/** As `nullIfAbsent`, also for what is no folder, or may not be looked into. */
function nullIfOutOfReach(error: NodeJS.ErrnoException): null {
  return ['ENOTDIR', 'EACCES'].includes(error.code ?? '') ? null : nullIfAbsent(error);
}

/** What a process has of the memory for itself; programs and libraries, which it shares, are left out. */
async function residentMib({ pid }: ProcessIdentity): Promise<number> {
  const text = (await readFile(`/proc/${pid}/status`, 'utf8').catch(nullIfGone)) ?? '';
  const kib = [...text.matchAll(/^Rss(?:Anon|Shmem):\s+(\d+) kB/gm)].map(([, figure]) => Number(figure));
  return kib.reduce((sum, one) => sum + one, 0) / 1024;
}

function nullIfGone(error: NodeJS.ErrnoException): null {
  return error.code === 'ESRCH' ? null : nullIfAbsent(error);
}

/** All disks in the folder of a VM. One that is only being made was promised what is there of it, and has taken what it holds. */
async function disksOf(folder: string): Promise<{ disk: Use; disks: VmUse['disks'] }> {
  const names = (await readdir(folder).catch(nullIfOutOfReach)) ?? [];
  const disk = { ...nothing };
  const rootsMib = new Map<number, number>();
  let homeMib = 0;
  for (const name of names) {
    const found = diskOfFile(name);
    const file = found && (await stat(join(folder, name)).catch(nullIfOutOfReach));
    if (!file) continue;
    const promisedMib = Math.ceil(file.size / mib);
    disk.promisedMib += promisedMib;
    disk.takenMib += Math.floor((file.blocks * 512) / mib);
    if (found.root === null) homeMib += promisedMib;
    else rootsMib.set(found.root.number, promisedMib);
  }
  return { disk, disks: { homeMib, rootsMib } };
}

/**
 * What a VM needs of its host, and what a host has left for another one. Pure: doctor, controller and image builder ask the same
 * questions and get the same answers. A VM is promised all that it may take, and takes it by and by: what it has not taken yet
 * is free by the kernel's count and is not to be given away again.
 */
import { AppError } from './errors.js';
import type { ImageManifest } from './image.js';
import type { HostProbe, VmSpec } from './runner.js';
import type { Settings } from './settings.js';

export type Accel = 'kvm' | 'tcg';

export interface HostChoice {
  accel: Accel;
  /** One sentence: why this accelerator. */
  accelReason: string;
  /** What VMs can be started with, the preferred one first. */
  drivers: readonly Pick<HostProbe['drivers'][0], 'name' | 'serials'>[];
  countMs: HostProbe['countMs'];
  tscKhz: HostProbe['tscKhz'];
}

/**
 * The accelerator and the driver of this host.
 * @throws AppError vmm_missing, host_unsupported when AIRLOCK_ACCEL=kvm and KVM does not work
 */
export function chooseHost(probe: HostProbe, wanted: Settings['AIRLOCK_ACCEL']): HostChoice {
  const { tscKhz, countMs, kvm } = probe;
  const accel = wanted === 'auto' ? (kvm.usable ? 'kvm' : 'tcg') : wanted;
  if (accel === 'kvm' && !kvm.usable) {
    throw new AppError('host_unsupported', `AIRLOCK_ACCEL=kvm, but KVM is of no use here: ${kvm.reason}`, {
      hint: 'Set AIRLOCK_ACCEL=auto to use software emulation.',
    });
  }
  const drivers = probe.drivers.filter(({ ok, emulation }) => ok && (emulation || accel === 'kvm'));
  if (drivers.length === 0) {
    throw new AppError('vmm_missing', `No VMM can be used: ${probe.drivers.map(({ reason }) => reason).join(' ')}`, {
      hint: '`npx airlock doctor` says what to install.',
    });
  }
  return { accel, accelReason: accelReason(accel, wanted, probe), drivers, countMs, tscKhz };
}

/** The best of the host's drivers that an image knows. @throws AppError image_too_old when it knows none of them */
export function driverFor(
  { drivers }: Pick<HostChoice, 'drivers'>,
  { id, drivers: known }: Pick<ImageManifest, 'id' | 'drivers'>,
): string {
  const driver = drivers.find(({ name, serials }) => (known === null ? serials : known.includes(name)));
  if (driver !== undefined) return driver.name;
  const offered = drivers.map(({ name }) => name).join(', ');
  const what = known === null ? 'comes from a version before this' : `knows ${known.join(', ')}`;
  throw new AppError('image_too_old', `This host starts VMs with ${offered}; the golden image ${id} ${what}.`, {
    hint: 'Build a newer one: `npx airlock image build`. A CLI VM gets it by `npx airlock vm update`.',
  });
}

function accelReason(accel: Accel, wanted: Settings['AIRLOCK_ACCEL'], { kvm, countMs }: HostProbe): string {
  if (accel === 'kvm') return kvm.reason;
  if (wanted === 'tcg') return 'AIRLOCK_ACCEL=tcg asks for software emulation.';
  const why = countMs.kvm === null ? 'because KVM does not work here' : 'which is faster here';
  return `Software emulation, ${why}: ${kvm.reason}`;
}

/** What a VM has to become ready, for each millisecond in which a guest counts: ten times what a boot takes on an idle host. */
const bootMsPerCountMs = 800;
/** The least is for what does not come with the processor; `unknown` where no guest has counted. */
const bootMs = { least: 60_000, most: 1_800_000, unknown: 240_000 } as const;
/** No VM boots for longer, in milliseconds, whatever the host or the settings. */
export const longestBootMs = 2 * bootMs.most;

/** The time that a VM has to become ready on this host: as the setting says, to the second, or as fast as guests are here. */
export function bootLimits(
  { accel, countMs }: Pick<HostChoice, 'accel' | 'countMs'>,
  wantedS?: Settings['AIRLOCK_BOOT_TIMEOUT_S'],
): Pick<VmSpec, 'bootTimeoutMs' | 'bootBoundMs'> {
  if (wantedS !== undefined) return { bootTimeoutMs: wantedS * 1000, bootBoundMs: wantedS * 1000 };
  const figure = countMs[accel];
  if (figure === null) return { bootTimeoutMs: bootMs.unknown };
  return { bootTimeoutMs: Math.round(Math.min(bootMs.most, Math.max(bootMs.least, bootMsPerCountMs * figure))) };
}

/** MiB that a VM takes besides its own memory: the VMM (under emulation with its cache of translated code), and its runner. */
const overheadMib = { kvm: 150, tcg: 600 } as const;
/** MiB that stay free for everything else on the host: of memory, and of the disk, for logs and database. */
const reserveMib = { memory: 512, disk: 512 } as const;

/** Apparent size of an image's file system, MiB: what a root of a CLI VM may grow to. */
export const rootDiskMib = 4096;
/** MiB that the build of an image needs: for the root while it grows, and for the finished image. Measured, plus a fifth. */
export const imageBuildMib = { work: 4500, images: 2700 } as const;

/** MiB. */
export interface Amounts {
  memoryMib: number;
  diskMib: number;
}

/** What a VM of one kind may take. */
export interface VmSize {
  accel: Accel;
  memoryMib: number;
  /** It has to get disks of its own: their apparent size. */
  newDiskMib?: number;
}

export function needOf({ accel, memoryMib, newDiskMib = 0 }: VmSize): Amounts {
  return { memoryMib: memoryMib + overheadMib[accel], diskMib: newDiskMib };
}

/** MiB that the disks of a new CLI VM may grow to: of its home, of `homeGib` GiB, and of its root. */
export const cliDisksMib = (homeGib: number, rootMib: number = rootDiskMib): number => homeGib * 1024 + rootMib;

/** A VM that has something of this host: what it was promised, and how much of that it has taken. */
export interface VmUse {
  vmId: string;
  promised: Amounts;
  taken: Amounts;
  /** What was promised of the disk, MiB: to its home, and by number to its roots, also to one that is being made, as far as it is. */
  disks: { homeMib: number; rootsMib: ReadonlyMap<number, number> };
}

export interface HostCapacity {
  memory: { totalMib: number; availableMib: number };
  /** Where VMs have their disks. */
  disk: { path: string; freeMib: number };
  vms: VmUse[];
}

/**
 * What another VM can have. `expected`: by id, what VMs are going to have that the host does not know of yet, because they are
 * only being made or started.
 */
export function roomLeft(host: HostCapacity, expected: ReadonlyMap<string, Amounts> = new Map()): Amounts {
  const nothing: Pick<VmUse, 'promised' | 'taken'> = {
    promised: { memoryMib: 0, diskMib: 0 },
    taken: { memoryMib: 0, diskMib: 0 },
  };
  const known = new Map(host.vms.map((vm) => [vm.vmId, vm]));
  const ids = new Set([...known.keys(), ...expected.keys()]);
  const owed = (part: keyof Amounts): number =>
    [...ids].reduce((sum, id) => {
      const { promised, taken } = known.get(id) ?? nothing;
      return sum + Math.max(0, Math.max(promised[part], expected.get(id)?.[part] ?? 0) - taken[part]);
    }, 0);
  return {
    memoryMib: Math.max(0, Math.floor(host.memory.availableMib - owed('memoryMib') - reserveMib.memory)),
    diskMib: Math.max(0, Math.floor(host.disk.freeMib - owed('diskMib') - reserveMib.disk)),
  };
}

/** How many VMs of this size the memory has room for. */
export const vmsThatFit = (room: Amounts, size: VmSize): number => Math.floor(room.memoryMib / needOf(size).memoryMib);

/** @throws AppError capacity_exhausted, disk_full when not all of `needs` fit into `room` together */
export function requireRoom(needs: readonly Amounts[], room: Amounts): void {
  const total = (part: keyof Amounts): number => needs.reduce((sum, need) => sum + need[part], 0);
  if (total('memoryMib') > room.memoryMib) {
    throw new AppError(
      'capacity_exhausted',
      `${vmCount(needs)} ${total('memoryMib')} MiB of memory; ${room.memoryMib} MiB are free on this host and not promised to other VMs.`,
      { hint: 'Wait until another sign-in has ended, or give the host more memory.' },
    );
  }
  requireDisk('The disks of a CLI VM need', total('diskMib'), room);
}

/** `what`: the beginning of a sentence, such as `A disk needs`. @throws AppError disk_full when `needMib` do not fit into `room` */
export function requireDisk(what: string, needMib: number, room: Amounts): void {
  if (needMib <= room.diskMib) return;
  throw new AppError(
    'disk_full',
    `${what} ${gib(needMib)} on this host; ${gib(room.diskMib)} are free and not promised to other VMs.`,
    { hint: 'Free some space below AIRLOCK_HOME, or remove CLI VMs that nobody uses (`npx airlock vm list`).' },
  );
}

const vmCount = ({ length }: readonly Amounts[]): string => (length === 1 ? 'A VM needs' : `${length} VMs need`);
const gib = (mib: number): string => `${(mib / 1024).toFixed(1)} GiB`;

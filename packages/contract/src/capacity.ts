/**
 * What a VM needs of its host, and what a host has left for another one. Pure: doctor, controller and image builder ask the same
 * questions and get the same answers. A VM is promised all that it may take, and takes it by and by: what it has not taken yet
 * is free by the kernel's count and is not to be given away again.
 */
import { hasGate, type GateVerdicts } from './driver-gate.js';
import { AppError } from './errors.js';
import type { ImageManifest } from './image.js';
import type { NetworkChoice } from './network-choice.js';
import type { HostProbe, VmSpec } from './runner.js';
import type { Settings } from './settings.js';

export type Accel = 'kvm' | 'tcg';

/** A driver as this host and its settings let it be used. */
export interface HostDriver extends Pick<HostProbe['drivers'][0], 'name' | 'serials'> {
  /** Why no VM is started with it, in one sentence; null: VMs are. */
  problem: string | null;
  /** The one image whose VMs may be started with it; null: any. */
  imageId: string | null;
  /** One sentence: why it is taken. */
  reason: string;
  /** AIRLOCK_VMM asks for it: browser VMs get no other. */
  forced: boolean;
}

export interface HostChoice {
  accel: Accel;
  /** One sentence: why this accelerator. */
  accelReason: string;
  /** The preferred one first. */
  drivers: readonly HostDriver[];
  countMs: HostProbe['countMs'];
  tscKhz: HostProbe['tscKhz'];
}

/** What a choice goes by besides the probe. */
export interface HostBeside {
  accel: Settings['AIRLOCK_ACCEL'];
  /** As AIRLOCK_VMM: auto, or the name of a driver. */
  vmm: string;
  network: Pick<NetworkChoice, 'network' | 'networkReason'>;
  gates: GateVerdicts;
}

/**
 * The accelerator and the drivers of this host.
 * @throws AppError vmm_missing; host_unsupported when AIRLOCK_ACCEL=kvm and KVM does not work; vmm_unavailable when AIRLOCK_VMM asks
 * for what cannot be
 */
export function chooseHost(probe: HostProbe, beside: HostBeside): HostChoice {
  const { tscKhz, countMs, kvm } = probe;
  const { accel: wanted, vmm } = beside;
  const accel = wanted === 'auto' ? (kvm.usable ? 'kvm' : 'tcg') : wanted;
  if (accel === 'kvm' && !kvm.usable) {
    throw new AppError('host_unsupported', `AIRLOCK_ACCEL=kvm, but KVM is of no use here: ${kvm.reason}`, {
      hint: 'Set AIRLOCK_ACCEL=auto to use software emulation.',
    });
  }
  const why = accelReason(accel, wanted, probe);
  const drivers = probe.drivers
    .map((driver) => hostDriver(driver, beside, accel === 'kvm' ? null : why))
    .sort((one, other) => Number(other.forced) - Number(one.forced));
  requireDriver(drivers, vmm);
  return { accel, accelReason: why, drivers, countMs, tscKhz };
}

function hostDriver(driver: HostProbe['drivers'][0], beside: HostBeside, noKvm: string | null): HostDriver {
  const { name, serials, ok, emulation, networks, reason } = driver;
  const forced = beside.vmm === name;
  const gate = hasGate(driver) && !forced ? beside.gates[name] : undefined;
  const problem = ok
    ? ((emulation || noKvm === null ? null : `${name} runs VMs with KVM alone. ${noKvm}`) ??
      whyNoNetwork(name, networks, beside.network) ??
      (gate?.imageId === null ? gate.reason : null))
    : reason;
  const why = forced ? `AIRLOCK_VMM=${name} asks for it.` : (gate?.reason ?? reason);
  return { name, serials, problem, imageId: gate?.imageId ?? null, reason: why, forced };
}

function whyNoNetwork(name: string, networks: readonly string[], choice: HostBeside['network']): string | null {
  if (networks.includes(choice.network === 'netns' ? 'tap' : 'user')) return null;
  return `${name} takes no network of the form ${choice.network}, which VMs get here. ${choice.networkReason}`;
}

function requireDriver(drivers: readonly HostDriver[], vmm: HostBeside['vmm']): void {
  const [best] = drivers;
  if (vmm !== 'auto' && (best?.forced !== true || best.problem !== null)) {
    const found = best?.forced === true ? best.problem : 'This version of Airlock has no such driver.';
    throw new AppError('vmm_unavailable', `AIRLOCK_VMM=${vmm}, but no VM can be started with it here: ${found}`, {
      hint: 'Mend that, or set AIRLOCK_VMM=auto. `npx airlock doctor` shows what this host has.',
    });
  }
  if (drivers.some(({ problem }) => problem === null)) return;
  throw new AppError('vmm_missing', `No VMM can be used: ${drivers.map(({ problem }) => problem).join(' ')}`, {
    hint: '`npx airlock doctor` says what to install.',
  });
}

/** What a VM is started with, and in one sentence or more why with that. */
export interface DriverChoice {
  driver: string;
  driverReason: string;
}

/**
 * The best of the host's drivers for a VM of an image. A CLI VM stays with what its root knows, whatever is asked for.
 * @throws AppError image_too_old when the image knows none of them
 */
export function driverFor(
  { drivers }: Pick<HostChoice, 'drivers'>,
  image: Pick<ImageManifest, 'id' | 'drivers'>,
  kind: VmSpec['kind'],
): DriverChoice {
  const forced = kind === 'browser' ? drivers.filter((driver) => driver.forced) : [];
  const candidates = forced.length > 0 ? forced : drivers;
  const against: string[] = [];
  for (const driver of candidates) {
    const why = driver.problem ?? whyNotOf(driver, image);
    if (why === null) return { driver: driver.name, driverReason: [driver.reason, ...against].join(' ') };
    against.push(why);
  }
  const { id, drivers: known } = image;
  const offered = candidates.filter(({ problem }) => problem === null).map(({ name }) => name);
  const what = known === null ? 'comes from a version before this' : `knows ${known.join(', ')}`;
  throw new AppError(
    'image_too_old',
    `This host starts VMs with ${offered.join(', ')}; the golden image ${id} ${what}.`,
    {
      hint: 'Build a newer one: `npx airlock image build`. A CLI VM gets it by `npx airlock vm update`.',
    },
  );
}

function whyNotOf(driver: HostDriver, { id, drivers: known }: Pick<ImageManifest, 'id' | 'drivers'>): string | null {
  const { name, serials, imageId } = driver;
  if (!(known === null ? serials : known.includes(name))) return `The image ${id} does not know ${name}.`;
  if (imageId === null || imageId === id) return null;
  return `The gate of ${name} has booted ${imageId}, not ${id}.`;
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

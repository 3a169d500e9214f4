/**
 * What a virtual machine monitor (VMM) must offer. One folder a driver, known by the registry alone; the same tests
 * (tests/vm/driver) run over each.
 */
import type { Accel } from '@airlock/contract/capacity';
import type { AppError } from '@airlock/contract/errors';
import type { ProcessIdentity, VmDrive, VmSpec } from '@airlock/contract/runner';
import type { HostPorts, NetworkDevice } from '../lib/device.js';

export interface VmmDriver {
  /** What `VmSpec.driver` and the host probe call it. */
  readonly name: string;
  readonly capabilities: Capabilities;
  readonly host: VmmHost;
  /**
   * Powers a VM on. When it rejects, nothing is left behind.
   * @throws AppError vmm_missing, vmm_failed with the VMM's last words, host_unsupported for a device that it does not
   * take, or the reason of `signal`.
   */
  start(options: VmmOptions, signal: AbortSignal): Promise<Vmm>;
  /**
   * Of a driver with the capability `snapshot`: as `start`, with a VM that `freezing.save` saved, which stands still until it is resumed.
   * `options` has the same drives by id, each with a file of its own, and a device of the same form. The files stay as long as the VM.
   */
  load?(options: VmmOptions, saved: SavedVm, signal: AbortSignal): Promise<Vmm>;
}

export interface Capabilities {
  /** Runs without hardware virtualisation. */
  readonly emulation: boolean;
  /** Shows the guest the serial number of each drive: an image that names no drivers finds its drives by nothing else. */
  readonly serials: boolean;
  /** Several VMs can be started from one saved memory image. */
  readonly snapshot: boolean;
  /** The VMM can be locked up in a folder and user of its own. */
  readonly jail: boolean;
  /** The forms of network device that it takes, the best first. */
  readonly networks: readonly NetworkDevice['type'][];
}

/** The driver's part of the host probe. */
export interface VmmHost {
  /** What of the driver is here; cheap enough to be asked each time. */
  look(): Promise<FoundVmm>;
  /** Whether VMs can be run by what was found. */
  judge(found: FoundVmm, kvmUsable: boolean): { ok: boolean; reason: string };
  /**
   * Lets a guest count for a while. Not asked for emulation of a driver without it.
   * @throws AppError command_failed when the guest does not run
   */
  count(accel: Accel): Promise<Count>;
  /** The rate of the host's time stamp counter as a guest sees it, in kHz; null when the driver cannot tell. */
  measureTscKhz(): Promise<number | null>;
}

export interface FoundVmm {
  path: string | null;
  version: string | null;
  /** What the program needs besides itself is there. */
  complete: boolean;
}

export interface Count {
  /** How many millions the guest has counted. */
  millions: number;
  /** Milliseconds of processor time that this took, without the VMM's own start; with no million: that were not enough for one. */
  cpuMs: number;
}

export interface VmmOptions extends Pick<
  VmSpec,
  'vmId' | 'accel' | 'cpus' | 'memoryMib' | 'kernel' | 'initrd' | 'tscKhz'
> {
  /** Absolute path of the VM folder, which the VMM works in. */
  folder: string;
  /** What the kernel is told under every driver; the driver adds what its own machine needs. */
  kernelArguments: string;
  /** In the order in which the guest sees them, the config drive among them; each has the serial number `airlock-<id>`. */
  drives: readonly VmDrive[];
  network: NetworkDevice;
  /** Of a driver with the capability `snapshot`: what `freezing.save` writes, made here, and removed by whoever has asked for it. */
  saveAs?: SavedVm;
  /** What the guest writes to its serial console, and what the VMM itself says. */
  onSerial: (chunk: Buffer) => void;
  onMessage: (chunk: Buffer) => void;
  /** The VMM's last lines, for an error. */
  lastMessages: () => string;
}

/** guest: it shut down or restarted by itself. fault: the VMM failed, or was killed. */
export type VmmEnd = { by: 'guest' } | { by: 'fault'; error: AppError };

/** Absolute paths of a VM that was saved. All that its guest knew is in them. */
export interface SavedVm {
  state: string;
  memory: string;
}

/** What can be done to a VM besides. */
export interface Freezing {
  /** Saves the VM, which is paused, as it was told at its start. When it rejects, there is no whole VM in the files. */
  save(): Promise<void>;
  /** Has the guest see the file behind a drive as it is now, its size too. */
  refreshDrive(id: string): Promise<void>;
}

export interface Vmm {
  readonly identity: ProcessIdentity;
  /** The ports that the VMM forwards to the guest; none unless the network device is one that asks for it. */
  readonly forwards: HostPorts;
  /** Resolves when the process is gone and its output was read; never rejects. */
  readonly exited: Promise<VmmEnd>;
  /** The guest stands still, and its clock with it: it takes no processor time until it is resumed, and goes on where it stood. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Ends the VM as if its plug were pulled, and waits until the process is gone. Idempotent. */
  kill(): Promise<void>;
  /** Of a driver with the capability `snapshot`. */
  readonly freezing?: Freezing;
}

/**
 * What a VM is connected with, as data: agreed between the driver that plugs it in and the network and guest channel that
 * use it, which do not see each other. What the guest sees behind it is the contract's `guestNetwork` in every case.
 */
import type { Duplex } from 'node:stream';
import { AppError } from '@airlock/contract/errors';
import type { ProcessIdentity } from '@airlock/contract/runner';

/** A driver lists the forms that it takes and refuses the others by `refuseDevice`. */
export type NetworkDevice =
  /**
   * A user-mode network that the VMM itself provides, closed but for these ways: TCP ports of the guest, each reached
   * through a port of 127.0.0.1 that the VMM tells after power-on, and from the guest the egress gateway.
   */
  | { type: 'user'; forwards: readonly number[]; gatewaySocket: string }
  /**
   * A TAP interface in a network namespace of this VM's own, in which `launch` starts the VMM, locked up.
   */
  | { type: 'tap'; namespace: string; name: string; mac: string; launch: Launch };

export type Launch = (order: LaunchOrder) => Promise<Launched>;

/** What becomes of a VMM's standard output and standard error. */
export interface LaunchOutput {
  onSerial: (chunk: Buffer) => void;
  onMessage: (chunk: Buffer) => void;
  /** Its counters, of a VMM that writes some: a JSON object a line. */
  onMetrics?: (chunk: Buffer) => void;
}

export interface LaunchFile {
  /** Absolute. */
  path: string;
  /** What the VMM finds it by in its root folder; without, it is a descriptor. All files have one, or none. */
  name?: string;
  /** Of a saved VM: it is to be saved, not loaded. */
  write?: boolean;
}

/** A VMM that is to be started locked up. Its descriptors are the contract's `jailDescriptors`, and where files have names its places `jailPlaces`. */
export interface LaunchOrder extends LaunchOutput {
  /** Name of the VMM's program. */
  program: string;
  arguments: string[];
  /** The files that it may open, in the order of their descriptors. */
  files: readonly LaunchFile[];
  kvm: boolean;
  memoryMib: number;
  cpus: number;
}

export interface ProcessExit {
  code: number | null;
  signal: string | null;
}

export interface Launched {
  identity: ProcessIdentity;
  /** The other end of the descriptor that is its monitor, or of one connection to its API. */
  monitor: Duplex;
  /** Resolves when it is gone and its output was read; never rejects. */
  exited: Promise<ProcessExit>;
  /** Ends it, and waits until it is gone. Idempotent. */
  kill(): Promise<void>;
}

/** Port of 127.0.0.1 by port of the guest. */
export type HostPorts = ReadonlyMap<number, number>;

export type GuestService = 'agent' | 'desktop';
/** Where a service of the guest is reached on this host. */
export type Address = { host: string; port: number } | { path: string };
/** @throws AppError guest_unreachable while the VM is not powered on, or has no such service */
export type Dial = (service: GuestService) => Address;

/** What a driver throws for a device that it cannot plug in. */
export function refuseDevice(driver: string, { type }: NetworkDevice): AppError {
  return new AppError(
    'host_unsupported',
    `The driver ${driver} cannot connect a VM to a network of the form "${type}".`,
  );
}

/**
 * What a VM is connected with, as data: agreed between the driver that plugs it in and the network and guest channel that
 * use it, which do not see each other. What the guest sees behind it is the contract's `guestNetwork` in every case.
 */
import { AppError } from '@airlock/contract/errors';

/** A driver lists the forms that it takes and refuses the others by `refuseDevice`. */
export type NetworkDevice =
  /**
   * A user-mode network that the VMM itself provides, closed but for these ways: TCP ports of the guest, each reached
   * through a port of 127.0.0.1 that the VMM tells after power-on, and from the guest the egress gateway.
   */
  | { type: 'user'; forwards: readonly number[]; gatewaySocket: string }
  /** A TAP interface in a network namespace of this VM's own. */
  | { type: 'tap'; namespace: string; name: string; mac: string };

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

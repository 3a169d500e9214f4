/** The network of one VM, in a form that its driver can plug in. Leaves nothing behind after `detach`. */
import { AppError } from '@airlock/contract/errors';
import type { Dial, HostPorts, NetworkDevice } from '../lib/device.js';
import { attachUserNetwork } from './user.js';

export interface Network {
  readonly device: NetworkDevice;
  /** Path of the unix socket on which the egress gateway of this VM has to listen. */
  readonly gatewaySocket: string;
  /** Told once the VM runs, with what its VMM forwards. */
  poweredOn(forwards: HostPorts): void;
  readonly dial: Dial;
  detach(): Promise<void>;
}

export interface NetworkOptions {
  /** The forms that the VM's driver takes, the best first. */
  accepts: readonly NetworkDevice['type'][];
  /** Absolute path of the VM folder. */
  folder: string;
  /** The VM has a desktop that is to be reached. */
  desktop: boolean;
}

/** @throws AppError host_unsupported when this host has no network that the driver takes */
export async function attachNetwork(options: NetworkOptions): Promise<Network> {
  if (options.accepts.includes('user')) return attachUserNetwork(options);
  throw new AppError(
    'host_unsupported',
    `The driver takes networks of the form ${options.accepts.join(', ')}; this host offers only "user".`,
  );
}

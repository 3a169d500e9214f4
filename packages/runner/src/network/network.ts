/** The network of one VM, in a form that its driver can plug in. Leaves nothing behind after `detach`. */
import { AppError } from '@airlock/contract/errors';
import type { Dial, HostPorts, NetworkDevice } from '../lib/device.js';
import { attachNamespace } from './netns.js';
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
  vmId: string;
  /** Of the VMM in a namespace; undefined: the helper's choice. */
  vmUser?: number | undefined;
  /** Of the privileged helper, which is to make a namespace; null: the network is the VMM's own. */
  helperSocket: string | null;
  /** Absolute path of the VM folder. */
  folder: string;
  /** The VM has a desktop that is to be reached. */
  desktop: boolean;
}

/** @throws AppError host_unsupported when the driver takes no such network, helper_unavailable, network_unavailable */
export async function attachNetwork(options: NetworkOptions): Promise<Network> {
  const { accepts, helperSocket } = options;
  const wanted = helperSocket === null ? 'user' : 'tap';
  if (helperSocket !== null && accepts.includes('tap')) return attachNamespace({ ...options, helperSocket });
  if (helperSocket === null && accepts.includes('user')) return attachUserNetwork(options);
  throw new AppError(
    'host_unsupported',
    `The driver takes networks of the form ${accepts.join(', ')}; the VM is to have one of the form ${wanted}.`,
  );
}

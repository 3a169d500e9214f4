/** The rootless network: the VMM's own user-mode stack. Nothing of it is on the host but the sockets of the VMM. */
import { join } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { guestPorts } from '@airlock/contract/guest';
import type { Address, GuestService, HostPorts } from '../lib/device.js';
import type { Network, NetworkOptions } from './network.js';

const servicePorts: Readonly<Record<GuestService, number>> = { agent: guestPorts.agent, desktop: guestPorts.vnc };

export function attachUserNetwork({ folder, desktop }: Pick<NetworkOptions, 'folder' | 'desktop'>): Network {
  const gatewaySocket = join(folder, 'e.sock');
  const forwards = [servicePorts.agent, ...(desktop ? [servicePorts.desktop] : [])];
  let ports: HostPorts = new Map();

  function dial(service: GuestService): Address {
    const port = ports.get(servicePorts[service]);
    if (port !== undefined) return { host: '127.0.0.1', port };
    throw new AppError('guest_unreachable', `There is no way to the ${service} of this VM (now).`);
  }

  return {
    device: { type: 'user', forwards, gatewaySocket },
    gatewaySocket,
    poweredOn: (told) => void (ports = told),
    dial,
    detach: () => Promise.resolve(),
  };
}

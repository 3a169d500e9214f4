/**
 * QEMU's user-mode network (slirp) with everything closed (`restrict=on`) but the ways that the device names: from the host
 * to ports of the guest, on ports of 127.0.0.1 that the kernel chooses, and from the guest to its egress gateway.
 */
import { relative } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { guestNetwork } from '@airlock/contract/guest';
import type { HostPorts, NetworkDevice } from '../../lib/device.js';

export type UserNetwork = Extract<NetworkDevice, { type: 'user' }>;

/**
 * Value of `-netdev`. The gateway's socket is named relative to the VM folder, which the VMM works in: a path in
 * here could hold a comma or a space. For each connection of the guest QEMU starts one `nc`; with -N it passes the
 * guest's end of stream on, and it ends when the gateway closes.
 */
export function userNetdev(id: string, { forwards, gatewaySocket }: UserNetwork, folder: string): string {
  return [
    `user,id=${id},restrict=on,ipv6=off`,
    ...forwards.map((port) => `hostfwd=tcp:127.0.0.1:0-:${port}`),
    `guestfwd=tcp:${guestNetwork.gatewayHost}:${guestNetwork.gatewayPort}-cmd:nc -N -U ${relative(folder, gatewaySocket)}`,
  ].join(',');
}

/**
 * Finds the host's ports in what QEMU's `info usernet` prints, such as
 * `  TCP[HOST_FORWARD]  14       127.0.0.1 38123       10.0.2.15  8080     0     0`.
 * @throws AppError vmm_failed when a forward is missing.
 */
export function parseUsernet(text: string, forwards: readonly number[]): HostPorts {
  const found = new Map<number, number>();
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+(\d+)\s/.exec(line);
    if (match) found.set(Number(match[2]), Number(match[1]));
  }
  if (forwards.every((port) => found.has(port))) return found;
  throw new AppError('vmm_failed', 'QEMU does not list the forwarded ports of this VM.', {
    details: { usernet: text.slice(0, 2000) },
  });
}

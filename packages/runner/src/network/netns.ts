/**
 * A network namespace of the VM's own, which the privileged helper makes. Nothing of it is on the host but the sockets of the relay in
 * it; they and the namespace end with the connection to the helper.
 */
import { basename, dirname, join } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { savedFiles } from '@airlock/contract/home';
import { ImageId, SavedId } from '@airlock/contract/ids';
import { imageFiles } from '@airlock/contract/image';
import { namespaceOf, relaySockets, tapNetwork, type JailFile } from '@airlock/contract/privileged';
import { diskOfFile } from '@airlock/contract/runner';
import type { Address, GuestService, LaunchFile } from '../lib/device.js';
import { connectHelper } from '../lib/helper.js';
import type { Network, NetworkOptions } from './network.js';

export type NamespaceOptions = Pick<NetworkOptions, 'vmId' | 'vmUser' | 'desktop'> & { helperSocket: string };

/** @throws AppError helper_unavailable, network_unavailable, runner_claim_refused, vm_ids_exhausted, vm_id_refused */
export async function attachNamespace({ vmId, vmUser, desktop, helperSocket }: NamespaceOptions): Promise<Network> {
  const helper = await connectHelper(helperSocket);
  let folder: string;
  try {
    folder = await helper.network(vmId, vmUser);
  } catch (error) {
    await helper.close();
    throw error;
  }
  let isOn = false;

  function dial(service: GuestService): Address {
    if (isOn && (service === 'agent' || desktop)) return { path: join(folder, relaySockets[service]) };
    throw new AppError('guest_unreachable', `There is no way to the ${service} of this VM (now).`);
  }

  return {
    device: {
      type: 'tap',
      namespace: namespaceOf(vmId),
      name: tapNetwork.tap,
      mac: tapNetwork.mac,
      launch({ files, onSerial, onMessage, onMetrics, ...order }) {
        const names = files.flatMap(({ name }) => (name === undefined ? [] : [name]));
        const request = { ...order, files: files.map(jailFile), ...(names.length > 0 && { names }) };
        return helper.start({ verb: 'start', ...request }, { onSerial, onMessage, ...(onMetrics && { onMetrics }) });
      },
    },
    gatewaySocket: join(folder, relaySockets.gateway),
    poweredOn: () => void (isOn = true),
    dial,
    detach: () => helper.close(),
  };
}

/** What a file of a VM is, by its place in the layout of a home: the helper takes no path. @throws AppError host_unsupported */
export function jailFile({ path, write = false }: Pick<LaunchFile, 'path' | 'write'>): JailFile {
  const name = basename(path);
  const disk = diskOfFile(name);
  if (disk) return disk.root === null ? { of: 'home' } : { of: 'root', ...disk.root };
  if (name.endsWith('.config')) return { of: 'config' };
  const saved = SavedId.safeParse(basename(dirname(path)));
  const part = (['state', 'memory'] as const).find((one) => savedFiles[one] === name);
  if (part !== undefined && saved.success) return { of: 'saved', savedId: saved.data, file: part, write };
  const file = (['kernel', 'initrd', 'rootfs'] as const).find((one) => imageFiles[one] === name);
  const image = ImageId.safeParse(basename(dirname(path)));
  if (file !== undefined && image.success) return { of: 'image', imageId: image.data, file };
  throw new AppError('host_unsupported', `${path} is no file of an image or VM: the privileged helper opens no other.`);
}

/** What the guest's kernel is told under every driver. The part after `root=` is agreed with the image's initrd and units. */
import { rootDriveId, type VmSpec } from '@airlock/contract/runner';

/** By its drive, and not by a label: a disk that once was the root may be the home now. Images of all versions understand it. */
const rootDevice = `/dev/disk/by-id/virtio-airlock-${rootDriveId}`;

export function kernelArguments(kind: VmSpec['kind']): string {
  const root =
    kind === 'browser' ? 'ro airlock.root=overlay airlock.kind=browser' : 'rw airlock.root=disk airlock.kind=cli';
  return `console=ttyS0 panic=-1 net.ifnames=0 ipv6.disable=1 mitigations=off root=${rootDevice} ${root}`;
}

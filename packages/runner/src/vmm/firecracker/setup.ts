/** The calls that make a VM in a fresh Firecracker, and those that load one. Pure. */
import { jailPlaces } from '@airlock/contract/privileged';
import { refuseDevice, type NetworkDevice } from '../../lib/device.js';
import type { VmmOptions } from '../driver.js';
import type { Call } from './api.js';

export const driverName = 'firecracker';
/** Older ones know neither the PVH note of a kernel nor another tap for a loaded VM. */
export const oldestVersion = '1.12';

/**
 * The files that the VMM finds in its root folder: names, whatever they lead to on the host. So a saved VM finds the drives of the jail
 * that it is loaded in.
 */
export const places = {
  kernel: 'vmlinux',
  initrd: 'initrd.img',
  state: 'snapshot.state',
  memory: 'snapshot.memory',
  drive: (id: string): string => `drive-${id}`,
} as const;

export type TapDevice = Extract<NetworkDevice, { type: 'tap' }>;
const interfaceId = 'net0';

/** @throws AppError host_unsupported for another form of network */
export function tapOf({ network }: Pick<VmmOptions, 'network'>): TapDevice {
  if (network.type !== 'tap') throw refuseDevice(driverName, network);
  return network;
}

/** Arguments of the program. Logger and metrics are among them: by the API they would come after what it writes on its console first. */
export const programArguments: readonly string[] = [
  ...['--api-sock', jailPlaces.api, '--log-path', jailPlaces.messages, '--level', 'Error'],
  ...['--metrics-path', jailPlaces.metrics],
];

/** Whether `version`, such as "1.12.1", is at least `wanted`, such as "1.14". False for what is no version. */
export function isAtLeast(version: string, wanted: string): boolean {
  const numbers = (text: string): number[] =>
    text
      .replace(/^v/, '')
      .split('.')
      .map((part) => Number.parseInt(part, 10));
  const [major = NaN, minor = NaN] = numbers(version);
  const [wantedMajor = 0, wantedMinor = 0] = numbers(wanted);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

export type SetupOptions = Pick<VmmOptions, 'cpus' | 'memoryMib' | 'kernelArguments' | 'drives' | 'network'>;

/** From a fresh VMM to a guest that runs, in this order. */
export function setupCalls(options: SetupOptions, version: string): Call[] {
  const { cpus, memoryMib, drives } = options;
  const tap = tapOf(options);
  return [
    ...serialCalls(version),
    { name: 'PUT /machine-config', body: { vcpu_count: cpus, mem_size_mib: memoryMib, smt: false } },
    {
      name: 'PUT /boot-source',
      body: { kernel_image_path: places.kernel, initrd_path: places.initrd, boot_args: kernelCommandLine(options) },
    },
    ...drives.map((drive): Call => ({ name: 'PUT /drives/{drive_id}', body: driveBody(drive) })),
    {
      name: 'PUT /network-interfaces/{iface_id}',
      body: { iface_id: interfaceId, host_dev_name: tap.name, guest_mac: tap.mac },
    },
    { name: 'PUT /entropy', body: {} },
    { name: 'PUT /actions', body: { action_type: 'InstanceStart' } },
  ];
}

/** From a fresh VMM to a guest that was saved and stands still. */
export function loadCalls(options: Pick<VmmOptions, 'network'>, version: string): Call[] {
  const tap = tapOf(options);
  return [
    ...serialCalls(version),
    {
      name: 'PUT /snapshot/load',
      body: {
        snapshot_path: places.state,
        mem_backend: { backend_type: 'File', backend_path: places.memory },
        resume_vm: false,
        network_overrides: [{ iface_id: interfaceId, host_dev_name: tap.name }],
      },
    },
  ];
}

/** Before 1.14 the console goes to the standard output alone; from then on it can be told from what the VMM itself may write there. */
function serialCalls(version: string): Call[] {
  return isAtLeast(version, '1.14') ? [{ name: 'PUT /serial', body: { serial_out_path: jailPlaces.console } }] : [];
}

/** The kernel's arguments, with what this machine needs before them. It ends when its guest resets it, and by nothing else. */
export function kernelCommandLine({ kernelArguments }: Pick<VmmOptions, 'kernelArguments'>): string {
  return `reboot=k airlock.off=reset pci=off ${kernelArguments}`;
}

/** No drive is the root in Firecracker's sense: it would be named to the kernel by its place, after what ours is told. */
function driveBody({
  id,
  readOnly,
}: VmmOptions['drives'][0]): Extract<Call, { name: 'PUT /drives/{drive_id}' }>['body'] {
  return {
    drive_id: id.replaceAll('-', '_'),
    path_on_host: places.drive(id),
    is_read_only: readOnly,
    is_root_device: false,
    // A guest's flush reaches the host's disk, where anything is to stay.
    cache_type: readOnly ? 'Unsafe' : 'Writeback',
  };
}

/** Has it look again at what lies in the drive's place. */
export const refreshCall = (id: string): Call => ({
  name: 'PATCH /drives/{drive_id}',
  body: { drive_id: id.replaceAll('-', '_'), path_on_host: places.drive(id) },
});

/** QEMU's command line: the `microvm` machine, the same devices under KVM and under software emulation (TCG). Pure. */
import { jailDescriptors } from '@airlock/contract/privileged';
import type { VmDrive } from '@airlock/contract/runner';
import type { VmmOptions } from '../driver.js';
import { userNetdev } from './user-network.js';

export const driverName = 'qemu';
export const qemuProgram = 'qemu-system-x86_64';
/** File descriptor of the monitor's end of the QMP socket pair: no path, so no other process can talk to it. */
export const qmpFd = jailDescriptors.monitor;

export type ArgumentOptions = Omit<VmmOptions, 'onSerial' | 'onMessage' | 'lastMessages'>;

/**
 * All arguments after the program's name. No secret is among them. Behind a `tap` QEMU is locked up, and has `qemuFiles` as descriptors.
 */
export function qemuArguments(options: ArgumentOptions): string[] {
  const { accel, network } = options;
  const files = qemuFiles(options);
  const descriptor = (path: string): number => jailDescriptors.firstFile + files.indexOf(path);
  const isJailed = network.type === 'tap';
  const read = (path: string): string => (isJailed ? `/proc/self/fd/${descriptor(path)}` : path);
  const sets = isJailed ? [...new Set(options.drives.map(({ path }) => descriptor(path)))] : [];
  return [
    ...['-name', `airlock-${options.vmId}`, '-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none'],
    // Without qboot the guest finds no disk: microvm has no PCI, and SeaBIOS sets up no virtio-mmio.
    ...['-M', 'microvm,acpi=on,isa-serial=on,rtc=on,pit=on,pic=on', '-bios', 'qboot.rom'],
    ...['-global', 'virtio-mmio.force-legacy=false'],
    ...(accel === 'kvm'
      ? ['-accel', 'kvm', '-cpu', 'host']
      : ['-accel', 'tcg,thread=multi,tb-size=512', '-cpu', 'max']),
    ...['-smp', String(options.cpus), '-m', String(options.memoryMib)],
    ...['-kernel', read(options.kernel), '-initrd', read(options.initrd), '-append', kernelCommandLine(options)],
    ...sets.flatMap((fd) => ['-add-fd', `fd=${fd},set=${fd}`]),
    ...options.drives.flatMap((drive) =>
      driveArguments(drive, isJailed ? `/dev/fdset/${descriptor(drive.path)}` : drive.path),
    ),
    ...['-netdev', netdev(options), '-device', `virtio-net-device,netdev=net0${isJailed ? `,mac=${network.mac}` : ''}`],
    ...['-device', 'virtio-rng-device'],
    ...['-chardev', 'stdio,id=serial,signal=off', '-serial', 'chardev:serial'],
    ...['-chardev', `socket,id=qmp,fd=${qmpFd}`, '-mon', 'chardev=qmp,mode=control'],
    // Nothing is left of what the user network needs.
    ...(isJailed
      ? ['-sandbox', 'on,obsolete=deny,resourcecontrol=deny,spawn=deny,elevateprivileges=deny']
      : userSandbox),
  ];
}

/** The kernel's arguments, with what this machine needs before them. */
export function kernelCommandLine(options: Pick<VmmOptions, 'accel' | 'tscKhz' | 'kernelArguments'>): string {
  const { accel, tscKhz } = options;
  // Without tsc_early_khz a boot under emulation can hang for ever in the kernel's own calibration when the host is busy;
  // without tsc=reliable a busy host makes the kernel's watchdog prefer counting timer ticks, which are then lost: the
  // guest's clock ran at half speed. The counter itself is the host's, and right.
  const tsc = accel === 'tcg' && tscKhz !== null ? ` tsc_early_khz=${tscKhz} tsc=reliable` : '';
  return `reboot=t pci=off${tsc} ${options.kernelArguments}`;
}

/**
 * The user network starts one `nc` for each connection to the egress gateway, in a session of its own: spawn has to stay
 * allowed, and `elevateprivileges=deny` would forbid setsid(); the driver sets no_new_privs instead.
 */
const userSandbox = ['-sandbox', 'on,obsolete=deny,resourcecontrol=deny,spawn=allow,elevateprivileges=allow'];

/** Each file that QEMU opens, once, in the order of its descriptors. */
export const qemuFiles = ({ kernel, initrd, drives }: Pick<VmmOptions, 'kernel' | 'initrd' | 'drives'>): string[] => [
  ...new Set([kernel, initrd, ...drives.map(({ path }) => path)]),
];

/** The TAP is an open descriptor: QEMU itself could not open it. */
function netdev({ network, folder }: ArgumentOptions): string {
  return network.type === 'user' ? userNetdev('net0', network, folder) : `tap,id=net0,fd=${jailDescriptors.tap}`;
}

/** A raw file as a virtio disk. A comma in a path is doubled. */
function driveArguments({ id, readOnly }: VmDrive, path: string): string[] {
  return [
    '-drive',
    // Through the host's page cache, so that a read in the guest sees what was just written to the file. One that is written is opened so
    // at once: an open descriptor cannot be reopened for reading alone, which is what QEMU does until its device is there.
    `id=${id},if=none,format=raw,cache=writeback,${readOnly ? 'readonly=on' : 'auto-read-only=off,discard=unmap'},file=${path.replaceAll(',', ',,')}`,
    '-device',
    `virtio-blk-device,drive=${id},serial=airlock-${id}`,
  ];
}

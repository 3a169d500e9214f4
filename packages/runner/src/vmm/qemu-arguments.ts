/** QEMU's command line: the `microvm` machine, the same devices under KVM and under software emulation (TCG). Pure. */
import type { VmmOptions } from './driver.js';

/** File descriptor of the monitor's end of the QMP socket pair: no path, so no other process can talk to it. */
export const qmpFd = 3;

type Options = Pick<
  VmmOptions,
  | 'vmId'
  | 'kind'
  | 'accel'
  | 'cpus'
  | 'memoryMib'
  | 'kernel'
  | 'initrd'
  | 'rootDisk'
  | 'configDrive'
  | 'netdev'
  | 'tscKhz'
>;

/** All arguments after `qemu-system-x86_64`. No secret is among them. */
export function qemuArguments(options: Options): string[] {
  const { kind, accel } = options;
  const readOnly = kind === 'browser';
  return [
    ...['-name', `airlock-${options.vmId}`, '-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none'],
    // Without qboot the guest finds no disk: microvm has no PCI, and SeaBIOS sets up no virtio-mmio.
    ...['-M', 'microvm,acpi=on,isa-serial=on,rtc=on,pit=on,pic=on', '-bios', 'qboot.rom'],
    ...['-global', 'virtio-mmio.force-legacy=false'],
    ...(accel === 'kvm'
      ? ['-accel', 'kvm', '-cpu', 'host']
      : ['-accel', 'tcg,thread=multi,tb-size=512', '-cpu', 'max']),
    ...['-smp', String(options.cpus), '-m', String(options.memoryMib)],
    ...['-kernel', options.kernel, '-initrd', options.initrd, '-append', kernelArguments(options)],
    ...drive('root', options.rootDisk, readOnly),
    // Through the host's page cache, so that a read in the guest sees what was just written to the file.
    ...drive('config', options.configDrive, true),
    ...['-netdev', options.netdev, '-device', 'virtio-net-device,netdev=net0'],
    ...['-device', 'virtio-rng-device'],
    ...['-chardev', 'stdio,id=serial,signal=off', '-serial', 'chardev:serial'],
    ...['-chardev', `socket,id=qmp,fd=${qmpFd}`, '-mon', 'chardev=qmp,mode=control'],
    // The user network starts one `nc` for each connection to the egress gateway, in a session of its own: spawn has to stay
    // allowed, and `elevateprivileges=deny` would forbid setsid(); the driver sets no_new_privs instead.
    ...['-sandbox', 'on,obsolete=deny,resourcecontrol=deny,spawn=allow,elevateprivileges=allow'],
  ];
}

/** The kernel's arguments; the part after `root=` is agreed with the image's initrd and units. */
export function kernelArguments(options: Pick<VmmOptions, 'kind' | 'accel' | 'tscKhz'>): string {
  const root =
    options.kind === 'browser'
      ? 'ro airlock.root=overlay airlock.kind=browser'
      : 'rw airlock.root=disk airlock.kind=cli';
  // Without tsc_early_khz a boot under emulation can hang for ever in the kernel's own calibration when the host is busy;
  // without tsc=reliable a busy host makes the kernel's watchdog prefer counting timer ticks, which are then lost: the
  // guest's clock ran at half speed. The counter itself is the host's, and right.
  const tsc = options.accel === 'tcg' && options.tscKhz !== null ? ` tsc_early_khz=${options.tscKhz} tsc=reliable` : '';
  return (
    'console=ttyS0 reboot=t panic=-1 pci=off net.ifnames=0 ipv6.disable=1 mitigations=off' +
    `${tsc} root=LABEL=airlock-root ${root}`
  );
}

/** A raw file as a virtio disk with the serial number by which the guest finds it. A comma in a path is doubled. */
function drive(name: 'root' | 'config', file: string, readOnly: boolean): string[] {
  return [
    '-drive',
    `id=${name},if=none,format=raw,cache=writeback,${readOnly ? 'readonly=on' : 'discard=unmap'},file=${file.replaceAll(',', ',,')}`,
    '-device',
    `virtio-blk-device,drive=${name},serial=airlock-${name}`,
  ];
}

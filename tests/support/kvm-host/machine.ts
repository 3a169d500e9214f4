/** The machine that the test host is: a PC in software whose processor has AMD's virtualisation, with one drive for each disk. Pure. */
import type { Debian } from './debian.js';
import { labels } from './disk.js';
import { outputPort } from './guest.js';

export interface Machine extends Debian {
  /** What the guest is given; what is written to `scratch` is gone with the machine, to `kept` stays. */
  disks: readonly { path: string; access: 'readonly' | 'scratch' | 'kept' }[];
  /** File that takes the console. */
  console: string;
  /** Unix socket that somebody listens on for the words of the command. */
  output: string;
}

/** Three VMs of 2 GiB, and what tests need beside them; taken from this host as it is used. */
const memoryMib = 8192;
/**
 * With two, QEMU's emulation of nested virtualisation (10.0) goes wrong once Linux has run in it: VMs shut down, programs of the host die,
 * the host panics or resets, within minutes; with one processor and no transparent huge pages that was not seen.
 */
const cpus = 1;

/** A comma separates options of QEMU's; twice it is one. */
const inOption = (path: string): string => path.replaceAll(',', ',,');

const access = { readonly: ',readonly=on', scratch: ',snapshot=on', kept: '' } as const;

export function machineArguments(machine: Machine): string[] {
  const { disk, kernel, initrd, disks } = machine;
  const drives = [{ path: disk, access: 'scratch' as const }, ...disks];
  const processor = ['-accel', 'tcg,thread=multi,tb-size=1024', '-cpu', 'EPYC', '-smp', String(cpus)];
  const append = `console=ttyS0 root=LABEL=${labels.host} rw net.ifnames=0 mitigations=off transparent_hugepage=never panic=-1`;
  return [
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-M', 'q35', ...processor],
    ...['-m', String(memoryMib), '-kernel', kernel, '-initrd', initrd, '-append', append],
    ...drives.flatMap(({ path, access: how }) => [
      '-drive',
      `file=${inOption(path)},if=virtio,format=raw${access[how]}`,
    ]),
    ...['-device', 'virtio-rng-pci', '-serial', `file:${machine.console}`],
    ...['-chardev', `socket,id=output,path=${inOption(machine.output)}`, '-device', 'virtio-serial-pci'],
    ...['-device', `virtserialport,chardev=output,name=${outputPort}`],
  ];
}

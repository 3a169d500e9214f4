import { expect, it } from 'vitest';
import { machineArguments } from './machine.js';

const machine = {
  ...{
    disk: '/c/host.ext4',
    kernel: '/c/vmlinuz',
    initrd: '/c/initrd.img',
    console: '/r/console',
    output: '/r/output.sock',
  },
  disks: [
    { path: '/c/a,b.ext4', access: 'readonly' },
    { path: '/c/images.ext4', access: 'scratch' },
    { path: '/r/results.ext4', access: 'kept' },
  ],
} as const;

const valuesOf = (option: string): string[] =>
  machineArguments(machine).flatMap((word, index, all) => (all[index - 1] === option ? [word] : []));

it('has one processor, with nested virtualisation, and no network', () => {
  expect(valuesOf('-cpu')).toEqual(['EPYC']);
  expect(valuesOf('-smp')).toEqual(['1']);
  expect(machineArguments(machine)).toContain('-nodefaults');
  expect(machineArguments(machine).join(' ')).not.toMatch(/-net|-nic/);
});

it('writes to what a run keeps, and to nothing else that it was given', () => {
  expect(valuesOf('-drive')).toEqual([
    'file=/c/host.ext4,if=virtio,format=raw,snapshot=on',
    'file=/c/a,,b.ext4,if=virtio,format=raw,readonly=on',
    'file=/c/images.ext4,if=virtio,format=raw,snapshot=on',
    'file=/r/results.ext4,if=virtio,format=raw',
  ]);
});

import { expect, it } from 'vitest';
import { endOf } from './system.js';

it.each([
  ['console=ttyS0 reboot=k airlock.off=reset pci=off root=/dev/vda\n', 'reboot'],
  ['airlock.off=reset\n', 'reboot'],
  ['reboot=t pci=off console=ttyS0 airlock.kind=cli\n', 'poweroff'],
  ['airlock.off=resetting xairlock.off=reset', 'poweroff'],
  ['', 'poweroff'],
])('a kernel that was told "%s" ends by %s', (kernelArguments, expected) => {
  expect(endOf(kernelArguments)).toBe(expected);
});

import { expect, it } from 'vitest';
import { kernelArguments } from './kernel-arguments.js';

const common =
  'console=ttyS0 panic=-1 net.ifnames=0 ipv6.disable=1 mitigations=off root=/dev/disk/by-id/virtio-airlock-root';

it.each([
  ['browser', `${common} ro airlock.root=overlay airlock.kind=browser`],
  ['cli', `${common} rw airlock.root=disk airlock.kind=cli`],
] as const)('the kernel of a %s VM is told', (kind, expected) => {
  expect(kernelArguments(kind)).toBe(expected);
});

import { describe, expect, it } from 'vitest';
import { diskOfFile, readVmSpec, rootFile, rootOfFile, VmSpec } from './runner.js';

const same: Omit<VmSpec, 'version' | 'drives' | 'secretFolder' | 'tscKhz'> = {
  ...{ vmId: 'vm_0123456789abcdef', kind: 'browser', epoch: 3, driver: 'qemu', accel: 'tcg', cpus: 2, memoryMib: 2048 },
  ...{ kernel: '/i/vmlinux', initrd: '/i/initrd.img', bootTimeoutMs: 240_000, directHosts: [] },
};
const root = { id: 'root', path: '/i/rootfs.ext4', readOnly: true };
const spec: VmSpec = { version: 2, ...same, drives: [root], secretFolder: '/s/vm', tscKhz: null };

describe('the specification', () => {
  it.each([
    ['no rate of the time stamp counter', { tscKhz: undefined }],
    ['no root', { drives: [{ ...root, id: 'home' }] }],
    ['two drives of one name', { drives: [root, root] }],
    ['the drive that is the runner’s own', { drives: [root, { ...root, id: 'config' }] }],
    ['a driver that is a path', { driver: '../qemu' }],
    ['an unknown member', { netdev: 'user' }],
  ])('with %s is refused', (_what, change) => {
    expect(VmSpec.safeParse(spec).success).toBe(true);
    expect(VmSpec.safeParse({ ...spec, ...change }).success).toBe(false);
  });

  it.each([
    ['a browser VM', 'browser', null, { ...root }],
    ['a CLI VM', 'cli', '/v/disk.ext4', { id: 'root', path: '/v/disk.ext4', readOnly: false }],
  ] as const)('of %s that the version before wrote is still understood', (_what, kind, disk, drive) => {
    const old = { version: 1, ...same, kind, rootfs: '/i/rootfs.ext4', disk, secretDir: '/s/vm' };
    expect(readVmSpec(JSON.stringify(old))).toEqual({ ...spec, kind, drives: [drive] });
    expect(VmSpec.safeParse(readVmSpec(JSON.stringify(old))).success).toBe(true);
  });
});

describe('the name of a file', () => {
  const root2 = { number: 2, imageId: 'img_202601011200abcdef01' };

  it('of a root says which one it is', () => {
    expect(rootFile(root2)).toBe('root.2.img_202601011200abcdef01.ext4');
    expect(rootOfFile(rootFile(root2))).toEqual(root2);
  });

  it.each([
    ['disk.ext4', { root: null, isWhole: true }],
    ['disk.ext4.partial', { root: null, isWhole: false }],
    [rootFile(root2), { root: root2, isWhole: true }],
    [`${rootFile(root2)}.partial`, { root: root2, isWhole: false }],
  ])('%s tells which disk it is', (name, disk) => {
    expect(diskOfFile(name)).toEqual(disk);
  });

  it.each([
    ...['spec.json', 'disk.ext4.old', '.partial'],
    ...[
      'root.02.img_000001.ext4',
      'root.1.x.ext4',
      'root.-1.img_000001.ext4',
      'root.1.img_000001.ext4.partial.partial',
    ],
  ])('%s is that of no disk', (name) => {
    expect(diskOfFile(name)).toBeNull();
  });
});

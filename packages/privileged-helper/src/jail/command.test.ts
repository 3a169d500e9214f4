import { expect, it } from 'vitest';
import { chrootCommand, jailCommand, type DescriptorOptions } from './command.js';

const options: DescriptorOptions = {
  ...{ uid: 70000, kvmGroup: null, namespace: '/run/netns/n', program: '/usr/bin/a-vmm', args: ['-x', '--uid=0'] },
  ...{ setpriv: '/usr/bin/setpriv', infoFd: 7, blockFd: 8 },
};
const line = (change: Partial<DescriptorOptions> = {}): string => jailCommand({ ...options, ...change }).join(' ');

it('enters the namespace, opens the TAP, makes the root folder, and gives everything up before the program', () => {
  const order = [
    'nsenter --net=/run/netns/n',
    'perl -e',
    'bwrap --unshare-pid',
    '-- /usr/bin/setpriv',
    '/usr/bin/a-vmm',
  ];
  const places = order.map((part) => line().lastIndexOf(part));
  expect(places.every((place, index) => place > (places[index - 1] ?? -1))).toBe(true);
  expect(line()).toMatch(/setpriv --reuid=70000 --regid=70000 --clear-groups --no-new-privs .*--bounding-set=-all/);
});

it('gives the program its arguments as they are, behind an end of options', () => {
  expect(jailCommand(options).slice(-4)).toEqual(['--', '/usr/bin/a-vmm', '-x', '--uid=0']);
});

it('shows nothing of the host that can be written to, and no device unless it is asked for KVM', () => {
  expect(line()).not.toMatch(/--bind |--dev-bind|\/home|\/var|\/run (?!netns)/);
  expect(line({ kvmGroup: 108 })).toContain('--dev-bind /dev/kvm /dev/kvm');
});

it.each([
  [108, '--groups=108'],
  [0, '--clear-groups'],
])('makes the program a member of the group of /dev/kvm, %i, unless that is root’s', (kvmGroup, expected) => {
  expect(line({ kvmGroup })).toContain(`--regid=70000 ${expected} --no-new-privs`);
});

it('has the jailer beside the program lock it up, with no more of root than that takes, and the program’s arguments last', () => {
  const binds = [{ name: 'drive-home', path: '/h/disk.ext4', inode: '1:2', write: true }];
  const { setpriv: _setpriv, kvmGroup: _kvmGroup, ...jail } = options;
  const words = chrootCommand({ ...jail, program: '/opt/vmm/a-vmm', vmId: 'vm_0', base: '/run/h/vm_0/j', binds });
  expect(words.slice(words.indexOf('/run/h/vm_0/j'))).toEqual([
    ...['/run/h/vm_0/j', 'a-vmm/vm-0/root', '1', 'drive-home', 'rw', '/h/disk.ext4', '1:2'],
    ...['/opt/vmm/jailer', '--id', 'vm-0', '--exec-file', '/opt/vmm/a-vmm', '--uid', '70000', '--gid', '70000'],
    ...['--chroot-base-dir', '/run/h/vm_0/j', '--netns', '/run/netns/n', '--', '-x', '--uid=0'],
  ]);
  expect(words.join(' ')).toMatch(/--die-with-parent .* setpriv .*--bounding-set=-all,\+sys_admin/);
});

import { expect, it } from 'vitest';
import { jailCommand, type JailOptions } from './command.js';

const options: JailOptions = {
  ...{ uid: 70000, kvmGroup: null, namespace: '/run/netns/n', program: '/usr/bin/a-vmm', args: ['-x', '--uid=0'] },
  ...{ setpriv: '/usr/bin/setpriv', infoFd: 7, blockFd: 8 },
};
const line = (change: Partial<JailOptions> = {}): string => jailCommand({ ...options, ...change }).join(' ');

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

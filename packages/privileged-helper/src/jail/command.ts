/**
 * The command line that locks a VMM up, from the outside in: the VM's network namespace, its TAP as an open descriptor, a root folder
 * of nothing but what the program is made of, a user of its own. Pure.
 */
import { basename, dirname, join } from 'node:path';
import { jailDescriptors, tapNetwork } from '@airlock/contract/privileged';
import { systemPath } from '@airlock/contract/process';
import { unprivileged } from '../unprivileged.js';

/** What a jail shows of the host, read-only; what of it is not there is left out. All of it is public. */
const shown = ['/usr/lib', '/usr/lib64', '/usr/share', '/etc/ld.so.cache'] as const;

/** TUNSETIFF with IFF_TAP, IFF_NO_PI and IFF_VNET_HDR, without which a VMM's frames are dropped. The descriptor stays open over exec. */
const openTap = String.raw`
use strict; use Fcntl; use POSIX (); $^F = 1000;
my ($name, $fd, @command) = @ARGV;
sysopen(my $tap, '/dev/net/tun', O_RDWR) or die "/dev/net/tun: $!\n";
my $request = pack('a16 s x22', $name, 0x5002);
ioctl($tap, 0x400454ca, $request) or die "$name: $!\n";
POSIX::dup2(fileno($tap), $fd) or die "$name: $!\n";
close($tap) if fileno($tap) != $fd;
exec { $command[0] } @command or die "$command[0]: $!\n";`;

export interface JailOptions {
  /** Of the program: nobody else has them now. */
  uid: number;
  /** Path of the network namespace. */
  namespace: string;
  /** Absolute path of the program, and its arguments. */
  program: string;
  args: readonly string[];
  /** Descriptors: where the pid is told, and what is waited for before the program begins. */
  infoFd: number;
  blockFd: number;
}

export interface DescriptorOptions extends JailOptions {
  /** The group that may open /dev/kvm; null: the program gets no KVM. */
  kvmGroup: number | null;
  /** Absolute path of setpriv. */
  setpriv: string;
}

/**
 * All of the command line. The program's own descriptors are `jailDescriptors`. Its parent is bwrap, as root and the first process of its
 * namespace: the kernel lets that one end with the helper, and the program with that one, whoever the program is.
 */
export function jailCommand(options: DescriptorOptions): string[] {
  const { uid, kvmGroup, namespace, program, args, setpriv } = options;
  // Where /dev/kvm is root's alone, the VMM finds it closed: it never becomes a member of that group.
  const groups = kvmGroup === null || kvmGroup === 0 ? [] : [kvmGroup];
  const inside = unprivileged({ uid, gid: uid, groups }, [program, ...args]);
  return [
    ...['nsenter', `--net=${namespace}`, '--'],
    ...['perl', '-e', openTap, tapNetwork.tap, String(jailDescriptors.tap)],
    ...apart(options),
    // What it makes by itself above a mount is root's alone.
    ...['/usr', '/usr/bin', '/etc'].flatMap((path) => ['--perms', '0755', '--dir', path]),
    ...shown.flatMap((path) => ['--ro-bind-try', path, path]),
    ...[program, setpriv].flatMap((path) => ['--ro-bind', path, path]),
    ...['--symlink', 'usr/lib', '/lib', '--symlink', 'usr/lib64', '/lib64'],
    ...['--proc', '/proc', '--dev', '/dev'],
    ...(kvmGroup === null ? [] : ['--dev-bind', '/dev/kvm', '/dev/kvm']),
    ...['--remount-ro', '/', '--chdir', '/', '--', setpriv, ...inside.slice(1)],
  ];
}

const apart = ({ infoFd, blockFd }: JailOptions): string[] => [
  ...['bwrap', '--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'],
  ...['--die-with-parent', '--new-session', '--clearenv', '--hostname', 'vm'],
  ...['--info-fd', String(infoFd), '--block-fd', String(blockFd)],
];

/**
 * What the jailer finds: in the place of its base a folder in memory, which allows devices, and in that the VMM's files. Each is mounted
 * by its path, and then has to be the one that was opened: a link that was put into the path meanwhile is no way to another.
 */
const makeRoot = String.raw`
use strict;
my ($base, $root, $count, @rest) = @ARGV;
sub mounted { system('mount', @_) == 0 or die "mount @_ failed\n" }
mounted('-t', 'tmpfs', '-o', 'nosuid,mode=0700,size=64m', 'airlock-jail', $base);
my $at = $base;
for (split m{/}, $root) { $at .= "/$_"; mkdir($at, 0700) or die "$at: $!\n" }
for (1 .. $count) {
  my ($name, $access, $path, $inode) = splice(@rest, 0, 4);
  open(my $place, '>', "$at/$name") or die "$at/$name: $!\n";
  mounted('-o', "bind,nosuid,nodev,noexec,$access", $path, "$at/$name");
  my ($device, $number) = stat("$at/$name");
  "$device:$number" eq $inode or die "$path has become another file\n";
}
exec { $rest[0] } @rest or die "$rest[0]: $!\n";`;

/** A file in the root folder. */
export interface Bind {
  name: string;
  path: string;
  /** Device and inode, with a colon between. */
  inode: string;
  write: boolean;
}

export interface ChrootOptions extends JailOptions {
  vmId: string;
  /** Where the jailer makes root folders: empty, and root's. */
  base: string;
  binds: readonly Bind[];
}

/** What the jailer needs of root: mounts and namespaces, devices, and becoming another user. */
const jailerNeeds = ['sys_admin', 'sys_chroot', 'mknod', 'chown', 'fowner', 'dac_override', 'setuid', 'setgid'];

/** For a program that finds its files by name: its own jailer, beside it, locks it up. */
export function chrootCommand(options: ChrootOptions): string[] {
  const { uid, namespace, program, args, vmId, base, binds } = options;
  const [id, own] = [vmId.replaceAll('_', '-'), String(uid)];
  return [
    ...[...apart(options), '--setenv', 'PATH', systemPath(), '--dev-bind', '/', '/', '--chdir', '/'],
    ...['--', 'setpriv', '--no-new-privs', '--inh-caps=-all', '--ambient-caps=-all'],
    ...[`--bounding-set=-all,+${jailerNeeds.join(',+')}`, '--'],
    ...['perl', '-e', makeRoot, base, join(basename(program), id, 'root'), String(binds.length)],
    ...binds.flatMap(({ name, write, path, inode }) => [name, write ? 'rw' : 'ro', path, inode]),
    ...[jailerOf(program), '--id', id, '--exec-file', program, '--uid', own, '--gid', own],
    ...['--chroot-base-dir', base, '--netns', namespace, '--', ...args],
  ];
}

export const jailerOf = (program: string): string => join(dirname(program), 'jailer');

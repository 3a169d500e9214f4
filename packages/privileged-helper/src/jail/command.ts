/**
 * The command line that locks a VMM up, from the outside in: the VM's network namespace, its TAP as an open descriptor, a root folder
 * of nothing but what the program is made of, a user of its own. Pure.
 */
import { jailDescriptors, tapNetwork } from '@airlock/contract/privileged';
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
  /** The group that may open /dev/kvm; null: the program gets no KVM. */
  kvmGroup: number | null;
  /** Path of the network namespace. */
  namespace: string;
  /** Absolute path of the program, and its arguments. */
  program: string;
  args: readonly string[];
  /** Absolute path of setpriv. */
  setpriv: string;
  /** Descriptors: where the pid is told, and what is waited for before the program begins. */
  infoFd: number;
  blockFd: number;
}

/**
 * All of the command line. The program's own descriptors are `jailDescriptors`. Its parent is bwrap, as root and the first process of its
 * namespace: the kernel lets that one end with the helper, and the program with that one, whoever the program is.
 */
export function jailCommand(options: JailOptions): string[] {
  const { uid, kvmGroup, namespace, program, args, setpriv, infoFd, blockFd } = options;
  // Where /dev/kvm is root's alone, the VMM finds it closed: it never becomes a member of that group.
  const groups = kvmGroup === null || kvmGroup === 0 ? [] : [kvmGroup];
  const inside = unprivileged({ uid, gid: uid, groups }, [program, ...args]);
  return [
    ...['nsenter', `--net=${namespace}`, '--'],
    ...['perl', '-e', openTap, tapNetwork.tap, String(jailDescriptors.tap)],
    ...['bwrap', '--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'],
    ...['--die-with-parent', '--new-session', '--clearenv', '--hostname', 'vm'],
    ...['--info-fd', String(infoFd), '--block-fd', String(blockFd)],
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

/**
 * Runs a Debian tree under its own systemd: own processes, mounts, devices, control groups, and a network that is loopback alone. Leaves
 * nothing on the host after `end`, which kills all that is in it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { capture, Stop } from '../run.mjs';

/** Becomes systemd. Device nodes are made, not borrowed: systemd gives its console another mode. */
const init = `set -eu
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 dev dev
make() { mknod -m 666 "dev/$1" c "$2" "$3"; }
make null 1 3; make zero 1 5; make full 1 7; make random 1 8; make urandom 1 9; make tty 5 0; make console 1 3
[ ! -e /dev/kvm ] || { make kvm 10 232; chmod 660 dev/kvm; chgrp "$(sed -n 's/^kvm:[^:]*:\\([0-9]*\\):.*/\\1/p' etc/group)" dev/kvm; }
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for folder in dev/shm run tmp; do mount -t tmpfs -o mode=1777 tmpfs "$folder"; done
chmod 755 run
ip link set lo up
pivot_root . mnt
umount -l /mnt
mount --make-rshared /
cd /
exec env -i container=airlock PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --show-status=0`;

/** The folder where this host has control groups of version 2, wholly or beside those of version 1. */
function controlGroups() {
  const line = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8'));
  if (!line) throw new Stop('This host has no control groups of version 2.');
  return line[1];
}

/** The tree below `folder`, from below: a control group is removed by rmdir alone. */
function removeGroups(folder) {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeGroups(join(folder, entry.name));
  }
  rmdirSync(folder);
}

/** @returns `run`: a command line of root's in there, with what it printed; `end` */
export async function boot(path) {
  const group = join(controlGroups(), `airlock-service-${process.pid}`);
  mkdirSync(group);
  const namespaces = ['--mount', '--pid', '--ipc', '--uts', '--net', '--cgroup', '--fork', '--kill-child'];
  const script = 'echo $$ >"$0/cgroup.procs" && exec "$@"';
  const child = spawn('sh', ['-c', script, group, 'unshare', ...namespaces, 'sh', '-c', init, 'init', path], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const ended = once(child, 'close');
  const first = () => Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8'));
  const run = (line) =>
    capture([
      ...['nsenter', '--target', String(first()), '--mount', '--pid', '--ipc', '--uts', '--net', '--cgroup'],
      ...['bash', '-c', line],
    ]);
  async function end() {
    child.kill('SIGKILL');
    await ended;
    // The kernel empties the groups of processes that it has just killed a moment later.
    await until(() => {
      removeGroups(group);
      return true;
    }, 10);
  }
  return { run, end };
}

/** Asks every second until `ask` answers something, or has not for `seconds`; a throw counts as nothing. */
export async function until(ask, seconds) {
  for (const end = Date.now() + seconds * 1000; ;) {
    let problem;
    try {
      const answer = await ask();
      if (answer) return answer;
    } catch (error) {
      problem = error;
    }
    if (Date.now() > end) throw problem ?? new Stop(`Not within ${seconds} s.`, '', 1);
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

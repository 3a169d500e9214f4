/**
 * Runs a Debian tree as a machine of its own: own processes, mounts and IPC; the network is the host's. It is entered by
 * pivot_root and not by chroot, because inside a chroot the kernel refuses user namespaces. Its end kills all that is in it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Stop } from '../run.mjs';

/** Process 1: mounts what a booted Debian has mounted, changes the root for good, then reaps what is orphaned. */
const init = `set -eu
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount --rbind /sys sys
mount -t tmpfs -o mode=755 dev dev
for name in null zero full random urandom tty kvm; do
  [ ! -e "/dev/$name" ] || { : >"dev/$name"; mount --bind "/dev/$name" "dev/$name"; }
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for pair in 0,stdin 1,stdout 2,stderr; do ln -s "/proc/self/fd/\${pair%,*}" "dev/\${pair#*,}"; done
mount -t tmpfs -o mode=1777 shm dev/shm
mount -t tmpfs -o mode=755 run run
pivot_root . mnt
umount -l /mnt
cd /
echo up
while :; do sleep 86400 & wait; done`;

/** @param {Record<string, string>} env what every command sees */
export async function startMachine(path, env) {
  const namespaces = ['--mount', '--pid', '--ipc', '--uts', '--fork', '--kill-child'];
  const unshare = spawn('unshare', [...namespaces, 'sh', '-c', init, 'init', path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(unshare, 'close');
  const up = await Promise.race([once(unshare.stdout, 'data'), ended.then(() => null)]);
  if (up === null) throw new Stop('The machine could not be started; the reason is above.', '', 1);
  const pid = Number(readFileSync(`/proc/${unshare.pid}/task/${unshare.pid}/children`, 'utf8'));
  const namespace = readlinkSync(`/proc/${pid}/ns/pid`);

  /** Starts a command line as this user's login shell; `show` takes each line of output. */
  function start(user, line, show = () => undefined) {
    const exports = Object.entries(env).map(([name, value]) => `export ${name}='${value}'\n`);
    const enter = ['--target', String(pid), '--mount', '--pid', '--ipc', '--uts'];
    const argv = [...enter, 'su', '--login', user, '--command', `${exports.join('')}${line}`];
    const child = spawn('nsenter', argv, { stdio: ['ignore', 'pipe', 'pipe'] });
    const output = [];
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (text) => {
        output.push(text);
        show(text);
      });
    }
    return { output, ended: once(child, 'close').then(([code]) => ({ code, output: output.join('\n') })) };
  }

  /** Command lines of all processes besides process 1 and its `sleep`. */
  function processes() {
    const inside = (entry) => {
      try {
        if (Number(entry) === pid || readlinkSync(`/proc/${entry}/ns/pid`) !== namespace) return [];
        const words = readFileSync(`/proc/${entry}/cmdline`, 'utf8').split('\0').join(' ').trim();
        return words === '' || words === 'sleep 86400' ? [] : [words];
      } catch (error) {
        // Gone by now, or none of our business (EACCES: some hosts protect their own process 1).
        if (['ENOENT', 'ESRCH', 'EACCES'].includes(error.code)) return [];
        throw error;
      }
    };
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap(inside);
  }

  async function end() {
    unshare.kill('SIGKILL');
    await ended;
  }
  return { start, processes, end };
}

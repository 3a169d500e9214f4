/**
 * How a program that root starts becomes one of the desktop user: in the cgroup that has a limit, the kernel's choice before the agent
 * when memory ends, without root's groups, and in its folder by its own right. It ends with the agent.
 */

export interface UserIds {
  uid: number;
  gid: number;
  /** Folder of the cgroup that programs of this user run in; absent: that of the agent. */
  cgroup?: string;
}

export interface Start {
  file: string;
  args: string[];
  /** What root may enter before it has become the user. */
  cwd: string;
}

// By root, with CAP_SYS_RESOURCE: of a score that somebody without it has raised, a program may have the former one again.
const settle = 'set -e; echo 0 >/proc/self/oom_score_adj; [ -z "$1" ] || echo 0 >"$1/cgroup.procs"; shift; exec "$@"';

/** What to start so that `argv` runs as `user` in `folder` (by default the agent's own). For the agent's own user that is `argv` itself. */
export function asUser(argv: readonly [string, ...string[]], folder = process.cwd(), user?: UserIds): Start {
  const [file, ...args] = argv;
  if (user === undefined || user.uid === process.getuid?.()) return { file, args, cwd: folder };
  const ids = [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups', '--pdeathsig=KILL'];
  // The shell leaves a PWD behind.
  const inside = ['env', '-u', 'PWD', '-C', folder, '--', ...argv];
  return { file: 'sh', args: ['-c', settle, 'sh', user.cgroup ?? '', 'setpriv', ...ids, '--', ...inside], cwd: '/' };
}

/** A command line that gives up everything that root has, before the program begins, and ends when this process does. Pure. */
export function unprivileged({ uid, gid }: { uid: number; gid: number }, command: readonly string[]): string[] {
  return [
    ...['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--no-new-privs'],
    ...['--inh-caps=-all', '--ambient-caps=-all', '--bounding-set=-all', '--pdeathsig=KILL', '--', ...command],
  ];
}

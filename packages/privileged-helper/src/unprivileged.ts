/** A command line that gives up everything that root has, before the program begins, and ends when this process does. Pure. */
export function unprivileged(
  { uid, gid, groups = [] }: { uid: number; gid: number; groups?: readonly number[] },
  command: readonly string[],
): string[] {
  const others = groups.length === 0 ? '--clear-groups' : `--groups=${groups.join(',')}`;
  return [
    ...['setpriv', `--reuid=${uid}`, `--regid=${gid}`, others, '--no-new-privs'],
    ...['--inh-caps=-all', '--ambient-caps=-all', '--bounding-set=-all', '--pdeathsig=KILL', '--', ...command],
  ];
}

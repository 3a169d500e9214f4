/** Programs that are to be in nobody's way. */

/**
 * Nice counts among the processes of one session only, where the kernel shares the processor between sessions first (autogroup): a
 * program that leads a session (field 6 of its stat) has that weigh the same.
 */
const script = `
{ [ "$(cut -d ' ' -f 6 /proc/$$/stat)" != $$ ] || echo "$1" >/proc/$$/autogroup; } 2>/dev/null
niceness=$1
shift
exec nice -n "$niceness" "$@"`;

/**
 * The words that start `command`, and all that it starts, at a lower weight: `niceness` from 1 to 19. They end as the same process, with
 * the words of `command`.
 */
export function atLowWeight(niceness: number, command: readonly string[]): string[] {
  return ['sh', '-c', script, 'sh', String(niceness), ...command];
}

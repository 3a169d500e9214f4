/**
 * How this runner and its VMM weigh beside others on the host: the weight of their session (see sched(7), autogroup), which, unlike a
 * niceness, goes back up without a privilege. A VMM that a helper has started is in another session, and weighs what its cgroup says.
 */
import { readFile, writeFile } from 'node:fs/promises';

/** Of a VM that nobody waits for. */
export const lowWeight = 10;
export const usualWeight = 0;

/** False where the kernel knows no such weight, or this process shares its session with others. */
export async function setWeight(niceness: number): Promise<boolean> {
  const stat = await readFile('/proc/self/stat', 'latin1');
  // Field 6, counted from behind the name.
  const session = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3];
  if (session !== String(process.pid)) return false;
  return writeFile('/proc/self/autogroup', String(niceness)).then(
    () => true,
    () => false,
  );
}

/** Folders of runs that were killed. Each is named after the process that works in it: `<prefix><pid>-…`. */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Makes a folder of this process. */
export const ownFolder = (parent: string, prefix: string): Promise<string> =>
  mkdtemp(join(parent, `${prefix}${process.pid}-`));

/** Removes those whose process is gone. */
export async function removeLeftovers(
  parent: string,
  prefix: string,
  remove: (path: string) => Promise<void>,
): Promise<void> {
  for (const name of await readdir(parent)) {
    const pid = name.startsWith(prefix) ? /^\d+(?=-|$)/.exec(name.slice(prefix.length))?.[0] : undefined;
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) await remove(join(parent, name));
  }
}

/** Where secrets of running VMs may lie: a folder that is memory, and one in it that nobody but this user can look into. */
import { createHash } from 'node:crypto';
import { access, constants, lstat, mkdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from './errors.js';
import { nullIfAbsent } from './file.js';

/** What statfs(2) calls the file systems that are memory: tmpfs, ramfs. */
const memoryTypes: readonly number[] = [0x01021994, 0x858458f6];

/** The folder of memory that this user may write to, or why there is none: one sentence. */
export type MemoryFolder = { path: string } | { problem: string };

/** Looks at `places`, best first: this user's own runtime folder, then the one of everybody. */
export async function findMemoryFolder(places: readonly string[] = usualPlaces()): Promise<MemoryFolder> {
  const problems: string[] = [];
  for (const path of places) {
    const problem = await problemOf(path);
    if (problem === null) return { path };
    problems.push(`${path} ${problem}`);
  }
  return { problem: `There is no folder in memory for secrets: ${problems.join('; ')}.` };
}

/** Where the secrets of a VM of this home lie in that folder of memory. */
export const secretFolderOf = (memory: string, home: string, vmId: string): string =>
  join(memory, `airlock-${createHash('sha256').update(home).digest('hex').slice(0, 12)}`, vmId);

const usualPlaces = (): string[] => [process.env['XDG_RUNTIME_DIR'], '/dev/shm'].filter((path) => path !== undefined);

async function problemOf(path: string): Promise<string | null> {
  const found = await stat(path).catch(nullIfAbsent);
  if (!found) return 'is not there';
  const sticky = (found.mode & 0o1000) !== 0;
  // Where others may rename what is not theirs, no look at a folder says anything of the next moment.
  if (found.uid !== process.getuid?.() && !sticky) return 'belongs to somebody else';
  const { type } = await statfs(path);
  if (!memoryTypes.includes(type)) return 'is not memory';
  return access(path, constants.W_OK | constants.X_OK).then(
    () => null,
    () => 'may not be written to',
  );
}

/**
 * Makes the folder `path` for this user alone, or makes sure that the one that is there is so: a name that can be guessed may
 * have been taken by somebody else before.
 * @throws AppError host_unsupported
 */
export async function claimFolder(path: string): Promise<void> {
  await mkdir(path, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const found = await lstat(path);
  const refuse = (what: string): never => {
    throw new AppError('host_unsupported', `${path}, which secrets of VMs are to lie in, ${what}.`, {
      hint: `Find out who made it, and remove it as root: rm -rf ${path}`,
    });
  };
  if (!found.isDirectory()) refuse('is not a folder');
  if (found.uid !== process.getuid?.()) refuse(`belongs to the user with id ${found.uid}`);
  if ((found.mode & 0o077) !== 0) refuse(`is open to others (mode ${(found.mode & 0o777).toString(8)})`);
}

/**
 * The folder in which a root is made, outside of AIRLOCK_HOME: apt and the mapped users of an unprivileged build must be
 * able to pass through it, which a home folder does not allow. Knows how to act on files that belong to mapped users.
 */
import { chmod, mkdir, readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { identifyProcess, killExactly, run } from '@airlock/contract/process';

export const isRoot = process.getuid?.() === 0;

/** mmdebstrap's mode, and the words before a command that has to see the root's files as their owner. */
export const mode = isRoot ? 'root' : 'unshare';
export const asOwner: readonly string[] = isRoot ? [] : ['mmdebstrap', '--unshare-helper'];

/** Programs of /usr/sbin are not on the PATH of an ordinary Debian user. */
export const searchPath = `${process.env.PATH ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`;

export interface Workspace {
  path: string;
  /** Folder with what is put into the root besides Debian. */
  stage: string;
  root: string;
}

/** Where workspaces are made: a disk also where /tmp is memory. */
export const workRoot = '/var/tmp';

/** Where the workspace of a build called `name` is. */
export const workspacePath = (name: string): string => join(workRoot, `airlock-image-${name}`);

export async function makeWorkspace(path: string): Promise<Workspace> {
  await mkdir(path, { mode: 0o711 });
  // mkdir's mode is subject to the umask.
  await chmod(path, 0o711);
  const workspace = { path, stage: join(path, 'stage'), root: join(path, 'root') };
  await mkdir(workspace.stage);
  return workspace;
}

/**
 * Ends what still works in a folder: mmdebstrap goes on for minutes after its builder was killed. The random part of the
 * folder's name makes it certain that a process which names it belongs to that build.
 */
async function endWorkIn(path: string): Promise<void> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  for (const pid of pids) {
    const words = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (!words.includes(path)) continue;
    const identity = await identifyProcess(Number(pid));
    if (identity) await killExactly(identity);
  }
}

/** As root mmdebstrap mounts in the host's own namespace; when it is killed, its mounts stay. The innermost goes first. */
async function unmountBelow(path: string): Promise<void> {
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' ')[1] ?? '');
  for (const mount of mounts.filter((one) => one.startsWith(`${path}/`)).toReversed())
    await run('umount', ['--', mount]);
}

/** Removes a folder of a build, also when parts belong to mapped users; never crosses into another file system. */
export async function removeFolder(path: string): Promise<void> {
  await endWorkIn(path);
  if (isRoot) await unmountBelow(path);
  const root = join(path, 'root');
  if (!isRoot && (await stat(root).catch(() => null))) {
    // Only what is inside belongs to mapped users; the empty folder itself is then removed by the owner of `path`.
    await run('mmdebstrap', ['--unshare-helper', 'find', root, '-xdev', '-mindepth', '1', '-delete'], { cwd: '/' });
  }
  await run('rm', ['-rf', '--one-file-system', path]);
}

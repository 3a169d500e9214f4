/** Makes the home folder usable: checks that it is on its disk, unlocks its encryption (CLI VM) and fills it the first time. */
import { constants } from 'node:fs';
import { chown, mkdir, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { readAtMost } from '@airlock/contract/file';
import type { UserIds } from '../as-user.js';
import type { Processes } from '../processes.js';
import type { AgentSettings } from '../settings.js';
import { runTool } from '../system.js';

/** What helps against a home that is damaged, or whose key is gone. */
const restore =
  'Restore the home from a backup (`npx airlock vm restore`). Another root (`npx airlock vm reset`) does not mend it, and does not touch it.';

/**
 * Leaves a home folder that belongs to `user`. With a key it is that of a CLI VM: on the disk of the home, where the VM has one, and
 * encrypted by fscrypt. The first time, an empty folder gets its policy; later the key opens it.
 * @throws AppError home_unusable when it is not on its disk, is encrypted by another key or not at all, or is full; command_failed
 */
export async function openHome(
  settings: AgentSettings,
  processes: Processes,
  user: UserIds,
  key: Buffer | null,
): Promise<void> {
  try {
    await mkdir(settings.home, { recursive: true, mode: 0o700 });
    if (key !== null) {
      await requireHomeDisk(settings);
      await unlock(settings, processes, key);
    }
    await chown(settings.home, user.uid, user.gid);
    await fill(settings, processes, user);
  } catch (error) {
    throw isFull(error) ? fullHome(settings.home, error) : error;
  }
}

/** Of what a program that could not mount it has said. */
const noteBytes = 64 * 1024;

/** A home beside its disk would be one without the person's files, and its own would be lost with the root. */
async function requireHomeDisk({ home, homeDevice, runFolder }: AgentSettings): Promise<void> {
  const disk = await stat(homeDevice).catch(nullIfAbsent);
  if (disk === null || disk.rdev === (await stat(home)).dev) return;
  const left = (await readAtMost(join(runFolder, 'home-disk.error'), noteBytes).catch(nullIfAbsent))?.toString('utf8');
  if (left?.includes(noRoom) === true) throw fullHome(home, null);
  const [reason, ...output] = left?.trim().split('\n') ?? ['Nothing was mounted while the VM booted.'];
  throw new AppError('home_unusable', `The disk of the home cannot be used: ${reason}`, {
    hint: restore,
    details: { lastOutput: output.join('\n').slice(-2000) },
  });
}

function nullIfAbsent(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}

async function unlock(settings: AgentSettings, processes: Processes, key: Buffer): Promise<void> {
  const { home } = settings;
  const env = { PATH: settings.searchPath, LANG: 'C.UTF-8' };
  const tool = (argv: [string, ...string[]], input?: Buffer): Promise<string> =>
    runTool(processes, { argv, env, ...(input && { input }) });
  const added = await tool(['fscryptctl', 'add_key', await mountPoint(home)], key);
  const keyId = /\b[0-9a-f]{32}\b/.exec(added)?.[0];
  if (keyId === undefined) throw new AppError('command_failed', 'fscryptctl add_key named no key identifier.');
  const policy = await processes.run({ argv: ['fscryptctl', 'get_policy', home], env, timeoutMs: 30_000 });
  if (policy.exitCode === 0) {
    if (policy.output.includes(keyId)) return;
    throw new AppError('home_unusable', `${home} is encrypted with another key than the one that the VM was given.`, {
      hint: `The disk belongs to another CLI VM, or comes from before its key was replaced. ${restore}`,
    });
  }
  const existing = await readdir(home);
  if (existing.length > 0) {
    throw new AppError(
      'home_unusable',
      `${home} should be encrypted, but it already holds ${existing.length} entries in the clear.`,
      { hint: `Nothing was changed. ${restore}` },
    );
  }
  await tool(['fscryptctl', 'set_policy', keyId, home]);
}

/** The top folder of the file system that holds `path`; `path` itself where something is mounted there. */
async function mountPoint(path: string): Promise<string> {
  const { dev } = await stat(path);
  let top = path;
  for (;;) {
    const parent = top.replace(/\/[^/]+\/?$/, '') || '/';
    if (parent === top || (await stat(parent)).dev !== dev) return top;
    top = parent;
  }
}

async function fill({ home, skeleton, searchPath }: AgentSettings, processes: Processes, user: UserIds): Promise<void> {
  const [present, wanted] = await Promise.all([readdir(home), readdir(skeleton)]);
  // Any of the skeleton's files there: not the first time. What the person deleted since stays deleted.
  if (wanted.length === 0 || wanted.some((name) => present.includes(name))) return;
  // As the user, so that everything belongs to the user; -T copies what is inside.
  await runTool(processes, { argv: ['cp', '-rT', skeleton, home], env: { PATH: searchPath, LANG: 'C.UTF-8' }, user });
  // A cut power soon after would leave them empty, and they are there only once.
  await Promise.all(wanted.map((name) => flush(join(home, name))));
}

/** What the user has put in the place of the file meanwhile is neither followed nor waited for. */
async function flush(path: string): Promise<void> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The last words of a program that found none. */
const noRoom = 'No space left on device';

const isFull = (error: unknown): boolean =>
  (error as NodeJS.ErrnoException).code === 'ENOSPC' || (error instanceof AppError && error.message.includes(noRoom));

function fullHome(home: string, cause: unknown): AppError {
  return new AppError('home_unusable', `${home} has no room left, not even for what a new home begins with.`, {
    hint: 'Set AIRLOCK_HOME_DISK_GIB to more and start the CLI VM again: its home grows.',
    cause,
  });
}

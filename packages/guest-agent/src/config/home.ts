/** Makes the home folder usable: unlocks its encryption (CLI VM) and fills it the first time. */
import { chown, mkdir, readdir, stat } from 'node:fs/promises';
import { AppError } from '@airlock/contract/errors';
import type { Processes, UserIds } from '../processes.js';
import type { AgentSettings } from '../settings.js';
import { runTool } from '../system.js';

/**
 * Leaves a home folder that belongs to `user`. With a key it is encrypted by fscrypt: the first time, an empty
 * folder gets its policy; later the key opens it.
 * @throws AppError command_failed, or config_invalid when the folder can no longer be encrypted.
 */
export async function openHome(
  settings: AgentSettings,
  processes: Processes,
  user: UserIds,
  key: Buffer | null,
): Promise<void> {
  await mkdir(settings.home, { recursive: true, mode: 0o700 });
  if (key !== null) await unlock(settings, processes, key);
  await chown(settings.home, user.uid, user.gid);
  const [present, wanted] = await Promise.all([readdir(settings.home), readdir(settings.skeleton)]);
  // Any of the skeleton's files there: not the first time. What the person deleted since stays deleted.
  if (wanted.length === 0 || wanted.some((name) => present.includes(name))) return;
  const env = { PATH: settings.searchPath, LANG: 'C.UTF-8' };
  // As the user, so that everything belongs to the user; -T copies what is inside.
  await runTool(processes, { argv: ['cp', '-rT', settings.skeleton, settings.home], env, user });
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
    throw new AppError('config_invalid', `${home} is encrypted with another key than the config drive carries.`, {
      hint: 'The disk belongs to another CLI VM, or the key of this one was lost.',
    });
  }
  const existing = await readdir(home);
  if (existing.length > 0) {
    throw new AppError(
      'config_invalid',
      `${home} should be encrypted, but it already holds ${existing.length} entries in the clear.`,
      { hint: 'The golden image must ship an empty home folder.' },
    );
  }
  await tool(['fscryptctl', 'set_policy', keyId, home]);
}

/** The top folder of the file system that holds `path`. */
async function mountPoint(path: string): Promise<string> {
  const { dev } = await stat(path);
  let top = path;
  for (;;) {
    const parent = top.replace(/\/[^/]+\/?$/, '') || '/';
    if (parent === top || (await stat(parent)).dev !== dev) return top;
    top = parent;
  }
}

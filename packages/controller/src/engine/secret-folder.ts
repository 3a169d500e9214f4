/**
 * Where the config drive of one VM is while its runner lives: in memory, below a folder of this home that nobody else can
 * look into. Leaves nothing behind after `remove`.
 */
import { rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { homePaths } from '@airlock/contract/home';
import { claimFolder, findMemoryFolder, secretFolderOf, type MemoryFolder } from '@airlock/contract/memory-folder';
import type { Settings } from '@airlock/contract/settings';
import { createQueue } from '../lib/keyed.js';

export type SecretSettings = Pick<Settings, 'AIRLOCK_HOME' | 'AIRLOCK_SECRETS_ON_DISK'>;

export interface SecretFolders {
  /**
   * Where the folder of `vmId` would be made now.
   * @throws AppError host_unsupported when there is no memory for it and the disk was not asked for
   */
  placeOf(vmId: string): Promise<string>;
  /** Makes it there. @throws AppError host_unsupported when somebody else has it */
  make(folder: string): Promise<void>;
  /** Removes the folder of a VM that no longer runs, and the folder of all of them when it was the last. Idempotent. */
  remove(folder: string): Promise<void>;
}

export function createSecretFolders(settings: SecretSettings, memory?: MemoryFolder): SecretFolders {
  // One at a time: the end of the last VM removes the folder of all, which the start of another has just made sure of.
  const turns = createQueue();
  return {
    placeOf: async (vmId) => placeFor(settings, memory ?? (await findMemoryFolder()), vmId),
    make: (folder) => turns.run(dirname(folder), () => make(folder)),
    remove: (folder) => turns.run(dirname(folder), () => remove(folder)),
  };
}

async function make(folder: string): Promise<void> {
  await claimFolder(dirname(folder));
  await claimFolder(folder);
}

function placeFor(
  { AIRLOCK_HOME, AIRLOCK_SECRETS_ON_DISK }: SecretSettings,
  memory: MemoryFolder,
  vmId: string,
): string {
  if ('path' in memory) return secretFolderOf(memory.path, AIRLOCK_HOME, vmId);
  if (AIRLOCK_SECRETS_ON_DISK === 'yes') return join(homePaths(AIRLOCK_HOME).secrets, vmId);
  throw new AppError('host_unsupported', memory.problem, {
    hint: 'Mount a tmpfs on /dev/shm, or let secrets of running VMs lie on the disk: AIRLOCK_SECRETS_ON_DISK=yes.',
  });
}

async function remove(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await rmdir(dirname(folder)).catch((error: NodeJS.ErrnoException) => {
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(error.code ?? '')) throw error;
  });
}

/**
 * Where the config drive of one VM is while its runner lives: in memory, below a folder of this home that nobody else can
 * look into. Leaves nothing behind after `removeSecretFolder`.
 */
import { createHash } from 'node:crypto';
import { rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { homePaths } from '@airlock/contract/home';
import { claimFolder, findMemoryFolder, type MemoryFolder } from '@airlock/contract/memory-folder';
import type { Settings } from '@airlock/contract/settings';

export type SecretSettings = Pick<Settings, 'AIRLOCK_HOME' | 'AIRLOCK_SECRETS_ON_DISK'>;

/**
 * Makes the folder of `vmId`.
 * @throws AppError host_unsupported when there is no memory for it and the disk was not asked for, or when somebody else has it
 */
export async function makeSecretFolder(vmId: string, settings: SecretSettings, memory?: MemoryFolder): Promise<string> {
  const folder = await placeOfSecrets(vmId, settings, memory);
  await claimFolder(dirname(folder));
  await claimFolder(folder);
  return folder;
}

/**
 * Where the folder of `vmId` would be made now.
 * @throws AppError host_unsupported when there is no memory for it and the disk was not asked for
 */
export async function placeOfSecrets(vmId: string, settings: SecretSettings, memory?: MemoryFolder): Promise<string> {
  return join(placeFor(settings, memory ?? (await findMemoryFolder())), vmId);
}

function placeFor({ AIRLOCK_HOME, AIRLOCK_SECRETS_ON_DISK }: SecretSettings, memory: MemoryFolder): string {
  if ('path' in memory) {
    return join(memory.path, `airlock-${createHash('sha256').update(AIRLOCK_HOME).digest('hex').slice(0, 12)}`);
  }
  if (AIRLOCK_SECRETS_ON_DISK === 'yes') return homePaths(AIRLOCK_HOME).secrets;
  throw new AppError('host_unsupported', memory.problem, {
    hint: 'Mount a tmpfs on /dev/shm, or let secrets of running VMs lie on the disk: AIRLOCK_SECRETS_ON_DISK=yes.',
  });
}

/** Removes the folder of a VM that no longer runs, and the folder of all of them when it was the last. Idempotent. */
export async function removeSecretFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await rmdir(dirname(folder)).catch((error: NodeJS.ErrnoException) => {
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(error.code ?? '')) throw error;
  });
}

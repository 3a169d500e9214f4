/** The disks of VMs: full copies, never copy-on-write layers. */
import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { makePrivateFolder } from '@airlock/contract/file';
import { run } from '@airlock/contract/process';
import type { runnerFiles } from '@airlock/contract/runner';
import type { EngineContext } from './context.js';
import type { DiskRole } from './engine.js';

/** The file of a disk in the VM's folder, by what it is for. */
const fileOf = { root: 'disk' } as const satisfies Record<DiskRole, keyof typeof runnerFiles>;

/** See `Engine.createDisk`. */
export async function createDisk(
  ctx: EngineContext,
  { vmId, role, imageId }: { vmId: string; role: DiskRole; imageId: string },
  signal: AbortSignal,
): Promise<void> {
  const { rootfs } = await ctx.imageFiles(imageId);
  await makePrivateFolder(ctx.paths.vm(vmId));
  await copyDisk(rootfs, ctx.paths.vmFile(vmId, fileOf[role]), signal);
}

/**
 * Copies `source` to `target` (holes stay holes; extents are never shared). The copy appears under its name only when whole.
 * @throws AppError disk_full (nothing is left of the copy), aborted, command_failed
 */
async function copyDisk(source: string, target: string, signal: AbortSignal): Promise<void> {
  const partial = `${target}.partial`;
  try {
    await run('cp', ['--sparse=always', '--reflink=never', '--', source, partial], { signal, env: { LC_ALL: 'C' } });
    await rename(partial, target);
  } catch (error) {
    await rm(partial, { force: true });
    if (!(error instanceof AppError && /No space left on device/.test(error.message))) throw error;
    throw new AppError(
      'disk_full',
      `The disk below ${dirname(target)} became full while a CLI VM’s was copied to it.`,
      {
        hint: 'Free some space below AIRLOCK_HOME, or remove CLI VMs that nobody uses (`npx airlock vm list`).',
        cause: error,
      },
    );
  }
}

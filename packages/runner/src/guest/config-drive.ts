/**
 * The VM's config drive: a file in memory, readable by this user only, gone when the runner ends. Each configuration goes into
 * the slot that does not hold the newest one, so that the guest always finds a whole one.
 */
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { driveSize, encodeSlot } from '@airlock/contract/config-drive';
import type { GuestConfig } from '@airlock/contract/guest';
import { claimFolder } from '@airlock/contract/memory-folder';

export interface ConfigDrive {
  readonly path: string;
  /** Writes `config` as the next generation, and answers its number. Not to be called again before it has resolved. */
  write(config: GuestConfig): Promise<number>;
  remove(): Promise<void>;
}

/**
 * Makes the drive in `secretFolder`, which stays the caller's, with `config` as generation 1.
 * @throws AppError host_unsupported when others can look into that folder
 */
export async function createConfigDrive(secretFolder: string, config: GuestConfig): Promise<ConfigDrive> {
  const path = join(secretFolder, `${config.vmId}.config`);
  // Before the file: one that is too large leaves nothing.
  const first = encodeSlot({ generation: 1, config });
  await claimFolder(secretFolder);
  // A file left by a runner that was killed: never reused, its mode is not known.
  await rm(path, { force: true });
  await writeAt(path, 'wx', first);
  let generation = 1;
  return {
    path,
    async write(next) {
      const slot = encodeSlot({ generation: generation + 1, config: next });
      // The number is used up: a write that was cut short must not be taken for another one of the same number.
      generation += 1;
      await writeAt(path, 'r+', slot);
      return generation;
    },
    remove: () => rm(path, { force: true }),
  };
}

async function writeAt(path: string, flags: 'wx' | 'r+', slot: ReturnType<typeof encodeSlot>): Promise<void> {
  const file = await open(path, flags, 0o600);
  try {
    await file.truncate(driveSize);
    await file.write(slot.bytes, 0, slot.bytes.length, slot.offset);
  } finally {
    await file.close();
  }
}

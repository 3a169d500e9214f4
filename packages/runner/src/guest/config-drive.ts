/** The VM's config drive: a file in memory, readable by this user only, gone when the runner ends. */
import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { driveSize, encodeSlot } from '@airlock/contract/config-drive';
import type { GuestConfig } from '@airlock/contract/guest';

export interface ConfigDrive {
  readonly path: string;
  remove(): Promise<void>;
}

/** Makes the drive in `secretFolder`, which stays the caller's, with `config` as generation 1. */
export async function createConfigDrive(secretFolder: string, config: GuestConfig): Promise<ConfigDrive> {
  const { offset, bytes } = encodeSlot({ generation: 1, config });
  await mkdir(secretFolder, { recursive: true, mode: 0o700 });
  const path = join(secretFolder, `${config.vmId}.config`);
  // A file left by a runner that was killed: never reused, its mode is not known.
  await rm(path, { force: true });
  const file = await open(path, 'wx', 0o600);
  try {
    await file.truncate(driveSize);
    await file.write(bytes, 0, bytes.length, offset);
  } finally {
    await file.close();
  }
  return { path, remove: () => rm(path, { force: true }) };
}

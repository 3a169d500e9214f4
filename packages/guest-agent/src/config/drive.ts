/** Reads the raw bytes of the config drive past the page cache, which may hold what was there before a restore. */
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';

/** 1 MiB: `driveSize` of the contract, repeated so that reading can begin before the contract is loaded. */
export const driveBytes = 1024 * 1024;
const alignment = 4096;

/** O_DIRECT demands a memory address aligned to the device's block; JavaScript cannot see addresses, so try them all. */
async function readAligned(file: FileHandle): Promise<Buffer> {
  const memory = Buffer.allocUnsafeSlow(driveBytes + alignment);
  // malloc puts 16 bytes before large blocks, which makes the first try the right one as a rule.
  for (let shift = alignment - 16; shift >= 0; shift -= 16) {
    const target = memory.subarray(shift, shift + driveBytes);
    try {
      const { bytesRead } = await file.read(target, 0, driveBytes, 0);
      return target.subarray(0, bytesRead);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EINVAL' || shift === 0) throw error;
    }
  }
  throw new Error('unreachable: the loop returns or throws');
}

async function openDirect(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_DIRECT);
  } catch (error) {
    // Some file systems (tests) have no direct reads; a block device always has.
    if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
    return open(path, constants.O_RDONLY);
  }
}

/**
 * The bytes of the drive, at most 1 MiB.
 * @throws the system's error when there is no drive or it cannot be read.
 */
export async function readDrive(path: string): Promise<Buffer> {
  const file = await openDirect(path);
  try {
    return await readAligned(file);
  } finally {
    await file.close();
  }
}

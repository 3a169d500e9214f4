/** A look at the superblock of a root disk before power-on: a wrong or cut-off file is named at once, not by a timeout. */
import { open } from 'node:fs/promises';
import { AppError } from '@airlock/contract/errors';

const label = 'airlock-root';

/** What is wrong with the first 2 KiB of an ext4 image of `size` bytes, or null. Offsets: ext4(5), superblock at 1024. */
export function judgeSuperblock(head: Buffer, size: number): string | null {
  if (head.length < 2048 || head.readUInt16LE(0x438) !== 0xef53) return 'it holds no ext4 file system';
  const found = head.subarray(0x478, 0x488).toString('latin1').replace(/\0.*$/s, '');
  if (found !== label) return `its label is "${found}", not "${label}"`;
  const expected = head.readUInt32LE(0x404) * 2 ** (10 + head.readUInt32LE(0x418));
  return size < expected ? `it has ${size} bytes of the ${expected} that its file system needs` : null;
}

/** @throws AppError vm_boot_failed when no system can boot from `path`; image_missing when it is not there. */
export async function checkRootDisk(path: string): Promise<void> {
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw new AppError('image_missing', `The root disk ${path} cannot be opened.`, { cause });
  });
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(2048), 0, 2048, 0);
    const { size } = await file.stat();
    const problem = judgeSuperblock(buffer.subarray(0, bytesRead), size);
    if (problem !== null) {
      throw new AppError('vm_boot_failed', `The root disk ${path} cannot be booted: ${problem}.`, {
        hint: 'Build the golden image again; a CLI VM with a damaged disk has to be made anew.',
      });
    }
  } finally {
    await file.close();
  }
}

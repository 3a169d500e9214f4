/** Unpacks the ELF kernel out of Debian's bzImage: some VMMs boot nothing else, and the others boot it faster. */
import { readFile, writeFile } from 'node:fs/promises';
import { AppError } from '@airlock/contract/errors';
import { run } from '@airlock/contract/process';

/** Offsets of the Linux/x86 boot protocol. */
const header = { setupSectors: 0x1f1, magic: 0x202, payloadOffset: 0x248, payloadLength: 0x24c, end: 0x250 };
const zstdMagic = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/**
 * The compressed payload of a bzImage.
 * @throws AppError image_build_failed when this is not a bzImage with a zstd payload.
 */
export function findPayload(bzImage: Buffer): Buffer {
  if (bzImage.length < header.end || bzImage.toString('latin1', header.magic, header.magic + 4) !== 'HdrS') {
    throw unexpected('it has no Linux boot header');
  }
  // Zero stands for four sectors, for historical reasons; the first sector is not counted.
  const setupSectors = bzImage[header.setupSectors] || 4;
  const start = (setupSectors + 1) * 512 + bzImage.readUInt32LE(header.payloadOffset);
  const end = start + bzImage.readUInt32LE(header.payloadLength);
  if (end > bzImage.length || end - start < 8) throw unexpected('its payload lies outside of the file');
  const payload = bzImage.subarray(start, end);
  if (!payload.subarray(0, 4).equals(zstdMagic)) throw unexpected('its payload is not compressed by zstd');
  // The build of the kernel appends the unpacked size, which zstd would take for a broken second frame.
  return payload.subarray(0, -4);
}

function unexpected(why: string): AppError {
  return new AppError('image_build_failed', `The kernel of the image cannot be unpacked: ${why}.`, {
    hint: 'Debian may have changed how it builds kernels; packages/image-builder/src/kernel.ts has to follow.',
  });
}

/** Writes the ELF kernel that is inside `bzImagePath` to `target`. Leaves `<target>.zst` to the caller's clean-up on failure. */
export async function unpackKernel(bzImagePath: string, target: string, signal: AbortSignal): Promise<void> {
  const packed = `${target}.zst`;
  await writeFile(packed, findPayload(await readFile(bzImagePath)));
  await run('zstd', ['--decompress', '--quiet', '--force', '--rm', packed, '-o', target], { signal });
  const unpacked = await readFile(target);
  if (unpacked.toString('latin1', 0, 4) !== '\x7fELF') throw unexpected('what was inside is not an ELF file');
}

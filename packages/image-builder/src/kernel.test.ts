import { describe, expect, it } from 'vitest';
import { findPayload } from './kernel.js';

/** A bzImage with nothing in it but what the boot protocol says about its payload. */
function bzImage({
  setupSectors = 1,
  offset = 16,
  payload = Buffer.from('28b52ffdaabbccdd01020304', 'hex'),
} = {}): Buffer {
  const image = Buffer.alloc(((setupSectors || 4) + 1) * 512 + offset + payload.length);
  image[0x1f1] = setupSectors;
  image.write('HdrS', 0x202, 'latin1');
  image.writeUInt32LE(offset, 0x248);
  image.writeUInt32LE(payload.length, 0x24c);
  payload.copy(image, ((setupSectors || 4) + 1) * 512 + offset);
  return image;
}

describe('findPayload', () => {
  it.each([1, 27, 0])('finds it behind %i setup sectors, without the size at its end', (setupSectors) => {
    expect(findPayload(bzImage({ setupSectors })).toString('hex')).toBe('28b52ffdaabbccdd');
  });

  it.each([
    ['no boot header', Buffer.alloc(4096), /no Linux boot header/],
    ['a truncated file', bzImage().subarray(0, -1), /outside of the file/],
    ['a gzip payload', bzImage({ payload: Buffer.from('1f8b080000000000', 'hex') }), /not compressed by zstd/],
    ['an empty file', Buffer.alloc(0), /no Linux boot header/],
  ])('refuses %s', (_name, image, message) => {
    expect(() => findPayload(image)).toThrowError(message);
  });
});

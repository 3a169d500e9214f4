import { expect, it } from 'vitest';
import { usedBytes } from './rootfs.js';

it('reads the space in use from dumpe2fs', () => {
  const dump =
    'Filesystem volume name:   airlock-root\nBlock count:              1000\nFree blocks:              400\nBlock size:               4096\n';
  expect(usedBytes(dump)).toBe(600 * 4096);
});

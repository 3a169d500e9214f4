import { expect, it } from 'vitest';
import { tinyRootDisk } from '../fixtures/tiny-guest.js';
import { judgeSuperblock } from './root-disk.js';

it.each([
  ['a good disk', tinyRootDisk('airlock-root', 1000), 4_096_000, null],
  ['a cut-off disk', tinyRootDisk('airlock-root', 1000), 4_095_999, '4095999 bytes of the 4096000'],
  ['another label', tinyRootDisk('rootfs'), 4096, '"rootfs"'],
  ['zeros', Buffer.alloc(2048), 4096, 'no ext4'],
  ['an empty file', Buffer.alloc(0), 0, 'no ext4'],
])('the superblock of %s', (_name, head, size, words) => {
  const problem = judgeSuperblock(head, size);
  if (words === null) expect(problem).toBeNull();
  else expect(problem).toContain(words);
});

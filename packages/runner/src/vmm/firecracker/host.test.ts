import { expect, it } from 'vitest';
import { judgeFirecracker } from './host.js';

const path = '/usr/local/bin/firecracker';

it.each([
  ['nothing', { path: null, version: null }, true, false, 'not on PATH'],
  ['a program that is something else', { path, version: null }, true, false, 'does not tell its version'],
  ['an old one', { path, version: '1.11.0' }, true, false, 'Firecracker 1.11.0 is too old: 1.12 or newer'],
  ['the oldest that will do', { path, version: '1.12.1' }, true, true, 'Firecracker 1.12.1.'],
  ['a newer one', { path, version: '1.16.1' }, true, true, 'Firecracker 1.16.1.'],
  ['one without KVM', { path, version: '1.16.1' }, false, false, 'needs KVM'],
] as const)('the verdict on %s', (_what, found, kvmUsable, ok, words) => {
  expect(judgeFirecracker({ ...found, complete: true }, kvmUsable)).toEqual({
    ok,
    reason: expect.stringContaining(words) as string,
  });
});

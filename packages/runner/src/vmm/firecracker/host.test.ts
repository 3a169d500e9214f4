import { expect, it } from 'vitest';
import { judgeFirecracker, whyUnfit } from './host.js';

const path = '/usr/local/bin/firecracker';
const there = { path, complete: true };

it.each([
  ['nothing', { ...there, path: null, version: null }, 'not on PATH'],
  ['a program that is something else', { ...there, version: null }, 'does not tell its version'],
  ['an old one', { ...there, version: '1.11.0' }, 'Firecracker 1.11.0 is too old: 1.12 or newer'],
])('%s runs no VM', (_what, found, words) => {
  expect(whyUnfit(found)).toContain(words);
  expect(judgeFirecracker(found)).toEqual({ ok: false, reason: whyUnfit(found) });
});

it.each(['1.12.1', '1.16.1'])('version %s does', (version) => {
  expect(whyUnfit({ ...there, version })).toBeNull();
  const reason = expect.stringContaining(`Firecracker ${version} is there`) as string;
  expect(judgeFirecracker({ ...there, version })).toEqual({ ok: true, reason });
});

import { expect, it } from 'vitest';
import { mayChange, unexpected } from './changes.js';

it('lets the user’s and temporary files be written, and nothing else', () => {
  const fine = ['/home/airlock', '/home/airlock/.config/chromium/Default/Cookies', '/var/log/x'];
  const wrong = [
    '/etc/machine-id',
    '/usr/bin/node',
    '/tmp/x',
    '/home/airlock2',
    '/var/lib/dpkg/status',
    '/root/.bash_history',
  ];
  expect(unexpected([...fine, ...wrong])).toEqual(wrong);
});

it('is a short list, each entry with its reason', () => {
  expect(mayChange.length).toBeLessThan(10);
  for (const { path, why } of mayChange)
    expect([path, why]).toEqual([expect.stringMatching(/^\/./), expect.stringMatching(/\w/)]);
});

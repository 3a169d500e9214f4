import { expect, it } from 'vitest';
import { readConfig } from './config.js';

const user = ['--uid', '1000', '--gid', '1001', '--programs', 'a-vmm,another'];

it('reads who the runners are, and keeps its things below /run', () => {
  expect(readConfig(['serve', ...user])).toEqual({
    command: 'serve',
    config: {
      ...{ uid: 1000, gid: 1001, run: '/run/airlock-helper', home: '/var/lib/airlock', memory: '/run/airlock' },
      ...{ programs: ['a-vmm', 'another'], ids: { first: 2_000_000_000, last: 2_000_000_999 } },
    },
  });
});

it.each([
  [['serve'], /--uid: .*--gid: /],
  [['serve', '--uid', '-1', '--gid', '0'], /--uid/],
  [['serve', '--uid', '4294967295', '--gid', '0'], /--uid/],
  [['serve', '--uid', '0x10', '--gid', '0'], /--uid/],
  [['serve', ...user, '--run', 'run'], /--run/],
  [['serve', ...user, '--run', '/run/../etc'], /--run/],
  [['serve', ...user, '--run', `/${'x'.repeat(60)}`], /--run/],
  [['serve', ...user, '--socket', 'here'], /--socket/],
  [['serve', ...user, '--shell', 'sh'], /shell/],
  [['serve', ...user, '--programs', '../sh'], /--programs/],
  [['serve', ...user, '--ids', '0-10'], /--ids/],
  [['serve', ...user, '--ids', '70010-70000'], /--ids/],
  [['serve', ...user, '--home', 'relative'], /--home/],
  [['serve', 'more', ...user], /more/],
])('refuses %j', (args, message) => {
  expect(() => readConfig(args)).toThrow(
    expect.objectContaining({ code: 'config_invalid', message: expect.stringMatching(message) }),
  );
});

import { expect, it } from 'vitest';
import { readConfig } from './config.js';

const user = ['--user', '1000:1001', '--programs', 'a-vmm,/opt/vmm/another'];

it('reads who the runners are, and keeps its things below /run', () => {
  expect(readConfig(['serve', ...user])).toEqual({
    command: 'serve',
    config: {
      ...{ uid: 1000, gid: 1001, run: '/run/airlock-helper', home: '/var/lib/airlock', memory: '/run/airlock' },
      ...{ programs: ['/usr/bin/a-vmm', '/opt/vmm/another'], ids: { first: 2_000_000_000, last: 2_000_000_999 } },
    },
  });
});

it('finds a user by name', () => {
  expect(readConfig(['sweep', '--user', 'root', '--programs', 'a-vmm']).config).toMatchObject({ uid: 0, gid: 0 });
});

it.each([
  [['serve'], /--user: .*--programs: /],
  [['serve', '--user', 'nobody-of-this-name'], /--user: nobody-of-this-name is no user/],
  [['serve', '--user', ''], /--user/],
  [['serve', '--user', '-1:0'], /--user/],
  [['serve', '--user', '4294967295:0'], /--user/],
  [['serve', '--user', '0x10:0'], /--user/],
  [['serve', ...user, '--run', 'run'], /--run/],
  [['serve', ...user, '--run', '/run/../etc'], /--run/],
  [['serve', ...user, '--run', `/${'x'.repeat(60)}`], /--run/],
  [['serve', ...user, '--socket', 'here'], /--socket/],
  [['serve', ...user, '--shell', 'sh'], /shell/],
  [['serve', ...user, '--programs', '../sh'], /--programs/],
  [['serve', ...user, '--programs', '/opt/../bin/sh'], /--programs/],
  [['serve', ...user, '--programs', '/opt/vmm/'], /--programs/],
  [['serve', ...user, '--ids', '0-10'], /--ids/],
  [['serve', ...user, '--ids', '70010-70000'], /--ids/],
  [['serve', ...user, '--home', 'relative'], /--home/],
  [['serve', 'more', ...user], /more/],
])('refuses %j', (args, message) => {
  expect(() => readConfig(args)).toThrow(
    expect.objectContaining({ code: 'config_invalid', message: expect.stringMatching(message) }),
  );
});

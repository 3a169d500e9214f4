/** What doctor makes of systemd's words about the service. */
import { expect, test } from 'vitest';
import { readSettings } from '@airlock/contract/settings';
import { outsideOfService, readService } from './folders.js';

const shown = (over: Record<string, string> = {}): string =>
  Object.entries({ User: 'airlock', ProtectSystem: 'strict', ReadWritePaths: '', StateDirectory: 'airlock', ...over })
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
const told = (paths: string, env: Record<string, string>): string[] =>
  outsideOfService(readService(shown({ ReadWritePaths: paths }), 'airlock'), readSettings(env)).map(
    ({ found, todo }) => `${found} ${todo}`,
  );

test('a home or vault key that the service may not write to is told with the drop-in to write', () => {
  const [home, key, ...others] = told('', {
    AIRLOCK_HOME: '/srv/airlock',
    AIRLOCK_VAULT_KEY_FILE: '/srv/key/vault.key',
  });
  expect(others).toEqual([]);
  expect(home).toMatch(/AIRLOCK_HOME is \/srv\/airlock.*ReadWritePaths=\/srv\/airlock`.*airlock\.service\.d/);
  expect(key).toMatch(/AIRLOCK_VAULT_KEY_FILE is \/srv\/key.*ReadWritePaths=\/srv\/key`/);
  expect(told('', { AIRLOCK_HOME: '/var/lib/airlock-2' })).toHaveLength(1);
});

test.each([
  ['its state folder', '', { AIRLOCK_HOME: '/var/lib/airlock' }],
  ['a folder that is named', '-/srv/airlock /data', { AIRLOCK_HOME: '/srv/airlock/a' }],
  ['a credential', '', { AIRLOCK_HOME: '/var/lib/airlock', AIRLOCK_VAULT_KEY_FILE: '/run/credentials/a.service/k' }],
])('%s is none', (_name, paths, env) => {
  expect(told(paths, env)).toEqual([]);
});

test('a unit of another user, an open one, or none at all says nothing about this user', () => {
  for (const said of [shown({ User: 'other' }), shown({ ProtectSystem: 'full' }), 'User=\nProtectSystem=no\n', ''])
    expect(readService(said, 'airlock')).toBe(null);
});

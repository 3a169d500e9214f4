import { expect, test } from 'vitest';
import { readSettings, settingDefinitions } from '@airlock/contract/settings';
import { settingRows } from './config.js';

test('every setting has a row, and no secret is in it', () => {
  const env = {
    AIRLOCK_HOME: '/tmp/x',
    AIRLOCK_UPSTREAM_PROXY: 'http://user:canary-pass@10.1.2.3:{port}',
    DATABASE_URL: 'postgres://u:canary-pass@h/db',
    AIRLOCK_DIRECT_HOSTS: 'a.example, .b.example',
  };
  const rows = settingRows(readSettings(env), env);
  expect(rows.map((row) => row.name)).toEqual(Object.keys(settingDefinitions));
  expect(JSON.stringify(rows)).not.toContain('canary');
  const row = (name: string) => rows.find((candidate) => candidate.name === name);
  expect(row('AIRLOCK_UPSTREAM_PROXY')).toMatchObject({ value: 'set', default: 'not set', source: 'environment' });
  expect(row('AIRLOCK_DIRECT_HOSTS')).toMatchObject({ value: 'a.example,.b.example', default: '(none)' });
  expect(row('AIRLOCK_PORT')).toMatchObject({ value: '4000', default: '4000', source: 'default' });
});

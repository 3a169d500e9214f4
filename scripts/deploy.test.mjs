/** The units in deploy/ are what systemd understands, and belong together. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root } from './checkout.mjs';
import { capture } from './run.mjs';

const folder = join(root, 'deploy');
const units = readdirSync(folder).filter((name) => /\.(service|timer)$/.test(name));
const read = (name) => readFileSync(join(folder, name), 'utf8');
const valuesOf = (name, key) => [...read(name).matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value]) => value);

const verify = (paths) => capture(['systemd-analyze', 'verify', '--man=no', '--recursive-errors=no', ...paths]);
const isThere = (await capture(['systemd-analyze', '--version'])).code === 0;
if (!isThere) console.log('Skipped: systemd-analyze is not on PATH, so the units are not verified.');

test.skipIf(!isThere).each(units)('%s is well-formed', async (name) => {
  const { code, stderr } = await verify([join(folder, name)]);
  expect([code, stderr]).toEqual([0, '']);
});

test('the trial of the newest CLIs runs each week, as the service does, and is not killed half-way', () => {
  expect(units).toEqual(['airlock-canary.service', 'airlock-canary.timer', 'airlock.service']);
  expect(valuesOf('airlock-canary.timer', 'OnCalendar')).toEqual(['Sun 03:00']);
  for (const key of ['User', 'Group', 'WorkingDirectory', 'UMask']) {
    expect(valuesOf('airlock-canary.service', key), key).toEqual(valuesOf('airlock.service', key));
  }
  const home = (name) => valuesOf(name, 'Environment').find((value) => value.startsWith('AIRLOCK_HOME='));
  expect(home('airlock-canary.service')).toBe(home('airlock.service'));
  expect(valuesOf('airlock-canary.service', 'ExecStart')).toEqual(['/usr/bin/env npm run canary']);
  expect(valuesOf('airlock-canary.service', 'TimeoutStartSec')).toEqual(['6h']);
});

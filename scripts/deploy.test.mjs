/** The units in deploy/ are what systemd understands, and belong together. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { helperSocket } from '@airlock/contract/privileged';
import { root } from './checkout.mjs';
import { capture } from './run.mjs';

const folder = join(root, 'deploy');
const units = readdirSync(folder).filter((name) => /\.(service|socket|timer)$/.test(name));
const read = (name) => readFileSync(join(folder, name), 'utf8');
const valuesOf = (name, key) => [...read(name).matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value]) => value);

const verify = (paths) => capture(['systemd-analyze', 'verify', '--man=no', '--recursive-errors=no', ...paths]);
const isThere = (await capture(['systemd-analyze', '--version'])).code === 0;
if (!isThere) console.log('Skipped: systemd-analyze is not on PATH, so the units are not verified.');

test.skipIf(!isThere).each(units)('%s is well-formed', async (name) => {
  const { code, stderr } = await verify([join(folder, name)]);
  expect([code, stderr]).toEqual([0, '']);
});

/** Of 100: what a program in this unit could still do, by systemd's own count. */
const exposure = async (name, most) =>
  (await capture(['systemd-analyze', 'security', '--offline=true', `--threshold=${most}`, join(folder, name)])).code;

test.skipIf(!isThere)('the service is narrowed to what controller, runners and QEMU need', async () => {
  expect(await exposure('airlock.service', 25)).toBe(0);
  expect(await exposure('airlock.service', 10)).not.toBe(0);
});

test('runners, their VMs and the secrets of these outlive a restart of the service', () => {
  const only = (key) => valuesOf('airlock.service', key).join();
  expect(only('KillMode')).toBe('process');
  expect(only('RuntimeDirectoryPreserve')).toBe('yes');
  expect(only('OOMPolicy')).toBe('continue');
  expect(valuesOf('airlock.service', 'Environment')).toContain('XDG_RUNTIME_DIR=%t/airlock');
  for (const key of ['RemoveIPC', 'PrivateDevices', 'MemoryDenyWriteExecute']) expect(only(key), key).toBe('');
  expect(only('DeviceAllow')).toBe('/dev/kvm rw');
});

test('the privileged helper is for the user of the service alone, one process for one connection, from what root owns', () => {
  const [socket, helper] = ['airlock-helper.socket', 'airlock-helper@.service'];
  expect(valuesOf(socket, 'ListenStream')).toEqual([helperSocket]);
  expect(valuesOf(socket, 'SocketUser')).toEqual(valuesOf('airlock.service', 'User'));
  expect(valuesOf(socket, 'SocketMode')).toEqual(['0600']);
  expect(valuesOf(socket, 'Accept')).toEqual(['yes']);
  expect(valuesOf(helper, 'Delegate')).toEqual(['cpu memory pids io']);
  const commands = [...valuesOf(helper, 'ExecStart'), ...valuesOf(helper, 'ExecStopPost')];
  expect(commands.map((command) => command.split(' ').slice(1, 4).join(' '))).toEqual([
    'node /usr/local/lib/airlock-helper/main.js serve',
    'node /usr/local/lib/airlock-helper/main.js sweep',
  ]);
  for (const command of commands) expect(command.endsWith(` --user ${valuesOf('airlock.service', 'User')}`)).toBe(true);
  expect(valuesOf('airlock.service', 'ReadWritePaths')).toEqual(['-/run/airlock-helper']);
});

test('what builds an image keeps the ways to its rights', () => {
  const taken =
    /^(NoNewPrivileges|SystemCall\w+|Restrict\w+|ProtectKernel\w+|ProtectClock|LockPersonality|CapabilityBoundingSet)=/m;
  expect(read('airlock-canary.service')).not.toMatch(taken);
});

test('the trial of the newest CLIs runs each week, as the service does, and is not killed half-way', () => {
  expect(units).toEqual([
    ...['airlock-canary.service', 'airlock-canary.timer', 'airlock-helper.socket', 'airlock-helper@.service'],
    'airlock.service',
  ]);
  expect(valuesOf('airlock-canary.timer', 'OnCalendar')).toEqual(['Sun 03:00']);
  for (const key of ['User', 'Group', 'WorkingDirectory', 'UMask']) {
    expect(valuesOf('airlock-canary.service', key), key).toEqual(valuesOf('airlock.service', key));
  }
  const home = (name) => valuesOf(name, 'Environment').find((value) => value.startsWith('AIRLOCK_HOME='));
  expect(home('airlock-canary.service')).toBe(home('airlock.service'));
  expect(valuesOf('airlock-canary.service', 'ExecStart')).toEqual(['/usr/bin/env npm run canary']);
  expect(valuesOf('airlock-canary.service', 'TimeoutStartSec')).toEqual(['6h']);
});

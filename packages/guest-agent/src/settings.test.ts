import { driveSize } from '@airlock/contract/config-drive';
import { guestPaths, guestPorts } from '@airlock/contract/guest';
import { describe, expect, it } from 'vitest';
import { driveBytes } from './config/drive.js';
import { readSettings } from './settings.js';

describe('readSettings', () => {
  it('defaults to what the contract bakes into the image', () => {
    const settings = readSettings({ PATH: '/bin' });
    expect(settings.configDevice).toBe(guestPaths.configDevice);
    expect(settings.runFolder).toBe(guestPaths.runFolder);
    expect(`${settings.runFolder}/configured`).toBe(guestPaths.configuredFlag);
    expect(settings.home).toBe(guestPaths.home);
    expect(settings.homeDevice).toBe(guestPaths.homeDevice);
    expect(`${settings.runFolder}/home-disk.error`).toBe(guestPaths.homeDiskError);
    expect(settings.port).toBe(guestPorts.agent);
    expect(settings.vncPort).toBe(guestPorts.vnc);
    expect(settings.systemEffects).toBe('on');
    expect(driveBytes).toBe(driveSize);
  });

  it.each([
    ['the one that systemd hands over', { LISTEN_PID: '7', LISTEN_FDS: '1' }, 3],
    ['none that was handed to somebody else', { LISTEN_PID: '8', LISTEN_FDS: '1' }, null],
    ['none', {}, null],
  ])('takes a listening socket: %s', (_what, env, expected) => {
    expect(readSettings(env, 7).listenFd).toBe(expected);
  });

  it.each([
    [{ AIRLOCK_AGENT_PORT: '80801' }, /AIRLOCK_AGENT_PORT is "80801"/],
    [{ AIRLOCK_AGENT_PORT: '1e3' }, /whole number/],
    [{ AIRLOCK_SYSTEM_EFFECTS: 'no' }, /expected on or off/],
    [{ AIRLOCK_RUN_DIR: '' }, /AIRLOCK_RUN_DIR is empty/],
    [{ AIRLOCK_RUNDIR: '/x' }, /Unknown setting AIRLOCK_RUNDIR/],
  ])('refuses %o', (env, message) => {
    expect(() => readSettings(env)).toThrow(message);
  });
});

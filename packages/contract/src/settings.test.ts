import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readSettings, upstreamUrlFor } from './settings.js';

const home = { AIRLOCK_HOME: '/tmp/h' };

describe('settings', () => {
  it('has sane defaults', () => {
    const settings = readSettings(home);
    expect(settings).toMatchObject({
      AIRLOCK_HOST: '127.0.0.1',
      AIRLOCK_PORT: 4000,
      AIRLOCK_ACCEL: 'auto',
      AIRLOCK_DIRECT_HOSTS: [],
    });
    expect(upstreamUrlFor(settings, 10001)).toBeNull();
  });

  it('puts the port of the user into the upstream proxy', () => {
    const settings = readSettings({ ...home, AIRLOCK_UPSTREAM_PROXY: 'http://u:p%40x@proxy.example:{port}' });
    expect(upstreamUrlFor(settings, 10007)).toBe('http://u:p%40x@proxy.example:10007');
  });

  it('reports every problem at once, never the value of a secret', () => {
    const secret = 'socks9://user:hunter2@x';
    const read = () =>
      readSettings({
        ...home,
        AIRLOCK_PORT: '99999',
        AIRLOCK_ACCEL: 'xen',
        AIRLOCK_UPSTREAM_PROXY: secret,
        AIRLOCK_PROT: '1',
      });
    expect(read).toThrow(
      /AIRLOCK_PORT:[^]*AIRLOCK_UPSTREAM_PROXY:[^]*AIRLOCK_ACCEL:[^]*AIRLOCK_PROT: no setting has this name/,
    );
    expect(read).not.toThrow(/hunter2/);
  });

  it.each(['10.0.0.0/8', '192.0.2.7, 2001:db8::/32', '::1', ''])('trusts proxies by address: %s', (text) => {
    const { AIRLOCK_TRUSTED_PROXIES: list } = readSettings({ ...home, AIRLOCK_TRUSTED_PROXIES: text });
    expect(list.join(', ')).toBe(text);
  });

  it.each(['proxy.example', '10.0.0.0/33', '*', '10.0.0.1:80', '10.0.0.1;::1'])('and by nothing else: %s', (text) => {
    expect(() => readSettings({ ...home, AIRLOCK_TRUSTED_PROXIES: text })).toThrow(/AIRLOCK_TRUSTED_PROXIES: /);
  });

  it.each([
    ['https://airlock.example', 'https://airlock.example'],
    ['https://airlock.example/', 'https://airlock.example'],
    ['HTTPS://Airlock.Example:443', 'https://airlock.example'],
    ['http://10.0.0.5:8080', 'http://10.0.0.5:8080'],
  ])('is reached at %s', (url, origin) => {
    expect(readSettings({ ...home, AIRLOCK_PUBLIC_URL: url }).AIRLOCK_PUBLIC_URL).toBe(origin);
  });

  it.each([
    'https://example.com/airlock',
    'https://example.com/?a',
    'https://example.com/#a',
    'https://me@example.com',
  ])('is at the root of its own name, not at %s', (url) => {
    expect(() => readSettings({ ...home, AIRLOCK_PUBLIC_URL: url })).toThrow(/AIRLOCK_PUBLIC_URL: .*no path/);
  });

  it('refuses a home that is too long for unix sockets', () => {
    expect(() => readSettings({ AIRLOCK_HOME: `/${'x'.repeat(90)}` })).toThrow(/longer than 70 bytes/);
  });

  it('takes ~/ in every path for the home folder, and no other ~', () => {
    const paths = ['AIRLOCK_HOME', 'AIRLOCK_VAULT_KEY_FILE', 'AIRLOCK_EXTRA_CA'] as const;
    for (const name of paths) {
      expect(readSettings({ ...home, [name]: '~/x/../y~' })[name]).toBe(join(homedir(), 'y~'));
      expect(readSettings({ ...home, [name]: '/a/~/b' })[name]).toBe('/a/~/b');
      for (const text of [
        '~ada/x',
        '$HOME/x',
        '${HOME}/x',
        '%h/x',
        '"~/x"',
        ' ~/x',
        '/x ',
        'file:///x',
        '/a\0b',
        '/a\nb',
      ])
        expect(() => readSettings({ ...home, [name]: text })).toThrow(`${name}: a`);
    }
    expect(() => readSettings({ ...home, AIRLOCK_VAULT_KEY_FILE: 'key' })).toThrow(/an absolute path/);
  });

  it.each([
    [{ AIRLOCK_DIRECT_HOSTS: 'a.example,0x7f.1' }, /AIRLOCK_DIRECT_HOSTS: .*four numbers/],
    [{ AIRLOCK_ALLOWED_PRIVATE_HOSTS: '2130706433' }, /four numbers/],
    [{ AIRLOCK_TIMEZONE: 'US/Eastern' }, /AIRLOCK_TIMEZONE: .*America\/New_York/],
    [{ AIRLOCK_UPSTREAM_PROXY: 'http://CORP\\joe:hunter2@proxy:{port}' }, /AIRLOCK_UPSTREAM_PROXY: .*%5C/],
    [{ AIRLOCK_EXIT_URL: 'https://joe:hunter2@ip.example/' }, /AIRLOCK_EXIT_URL: without user name/],
    [{ AIRLOCK_EXIT_URL: 'ftp://ip.example/' }, /AIRLOCK_EXIT_URL: /],
    [{ AIRLOCK_UPSTREAM_PROXY: 'http://us%3Aer:hunter2@proxy:{port}' }, /AIRLOCK_UPSTREAM_PROXY: .*colon/],
  ])('refuses what would be another thing in a VM: %j', (env, why) => {
    expect(() => readSettings({ ...home, ...env })).toThrow(why);
    expect(() => readSettings({ ...home, ...env })).not.toThrow(/hunter2/);
  });
});

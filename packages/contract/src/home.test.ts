/** The names that homes of installed versions have: to change one is to lose what lies there. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { homePaths, readControllerFile, readToken } from './home.js';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'al-home-'));
});
afterEach(() => rm(home, { recursive: true }));

test('what a home holds has the names that it always had', () => {
  const paths = homePaths('/h');
  expect(JSON.parse(JSON.stringify(paths))).toEqual({
    controllerLock: '/h/controller.lock',
    controllerFile: '/h/controller.json',
    controllerLog: '/h/controller.log',
    token: '/h/token',
    vaultKey: '/h/vault.key',
    canary: '/h/canary.json',
    database: '/h/db',
    cache: '/h/cache',
    hostProbe: '/h/cache/host-probe.json',
    aptCache: '/h/cache/apt',
    testCache: '/h/cache/tests',
    images: {
      folder: '/h/images',
      current: '/h/images/current',
      history: '/h/images/history.json',
      pins: '/h/images/pins.json',
      buildLock: '/h/images/.build.lock',
    },
    vms: '/h/vm',
    saved: '/h/saved',
    secrets: '/h/secret',
  });
  expect(paths.vm('vm_1')).toBe('/h/vm/vm_1');
  expect(paths.vmFile('vm_1', 'disk')).toBe('/h/vm/vm_1/disk.ext4');
  expect(paths.images.image('img_1')).toBe('/h/images/img_1');
});

test('a controller is found by what it has written, also with members of later versions', async () => {
  expect(await readControllerFile(home)).toBeNull();
  await writeFile(homePaths(home).controllerFile, '{"url":"http://127.0.0.1:4000","pid":7,"since":"today"}\n');
  expect(await readControllerFile(home)).toEqual({ url: 'http://127.0.0.1:4000', pid: 7 });
});

test.each(['{"url":', '{"url":"nowhere","pid":7}', '[]'])('%s is not what a controller writes', async (text) => {
  await writeFile(homePaths(home).controllerFile, text);
  await expect(readControllerFile(home)).rejects.toMatchObject({ code: 'controller_unreachable' });
});

test('the token is read without the end of its line', async () => {
  expect(await readToken(home)).toBeNull();
  await writeFile(homePaths(home).token, 'the-token\n');
  expect(await readToken(home)).toBe('the-token');
});

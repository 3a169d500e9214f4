/** A start that cannot be leaves nothing, or nothing that `stop` does not take away: neither a folder nor a place for secrets. */
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { homePaths } from '@airlock/contract/home';
import { newId } from '@airlock/contract/ids';
import type { RunnerSecrets } from '@airlock/contract/runner';
import type { Engine, VmPlan } from './engine.js';
import { createLocalEngine } from './local.js';
import { createSecretFolders } from './secret-folder.js';
import { openTestEngine } from './testing.js';

const secrets = {} as RunnerSecrets;
let home: string;
let engine: Engine;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'airlock-start-'));
});
afterEach(async () => {
  await engine.close();
  await rm(home, { recursive: true });
});

const plan = (more: Partial<VmPlan> = {}): VmPlan => ({
  ...{ vmId: newId('vm'), kind: 'browser', epoch: 1, imageId: 'img_000000', driver: 'qemu', accel: 'tcg' },
  ...{ cpus: 1, memoryMib: 256, bootTimeoutMs: 1000, directHosts: [], root: null, low: false, ...more },
});

const engineWithImage = (): Engine =>
  createLocalEngine({
    settings: { AIRLOCK_HOME: home, AIRLOCK_SECRETS_ON_DISK: 'no' },
    imageFiles: async () => ({ kernel: '/k', initrd: '/i', rootfs: '/r' }),
    tscKhz: null,
  });

/** Where the secrets of all VMs of this home would be. */
async function placeOfSecrets(): Promise<string> {
  const folders = createSecretFolders({ AIRLOCK_HOME: home, AIRLOCK_SECRETS_ON_DISK: 'no' });
  return dirname(await folders.placeOf(newId('vm')));
}

test('without its image', async () => {
  engine = openTestEngine(home);
  const place = await placeOfSecrets();
  const { vmId, ...rest } = plan();
  await expect(engine.start({ vmId, ...rest }, secrets)).rejects.toMatchObject({ code: 'image_missing' });
  await expect(access(place)).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(access(homePaths(home).vm(vmId))).rejects.toMatchObject({ code: 'ENOENT' });
});

test('without a program to run it with, and the reason is told', async () => {
  engine = engineWithImage();
  const place = await placeOfSecrets();
  const { vmId, ...rest } = plan();
  const { execPath } = process;
  process.execPath = '/nowhere/node';
  try {
    await expect(engine.start({ vmId, ...rest }, secrets)).rejects.toMatchObject({
      code: 'runner_failed',
      message: expect.stringContaining('could not be started: spawn /nowhere/node ENOENT') as string,
    });
  } finally {
    process.execPath = execPath;
  }
  await engine.stop(vmId, 0);
  await expect(access(place)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('with a plan that no runner takes', async () => {
  engine = engineWithImage();
  const place = await placeOfSecrets();
  await expect(engine.start(plan({ cpus: 1000 }), secrets)).rejects.toBeDefined();
  await expect(access(place)).rejects.toMatchObject({ code: 'ENOENT' });
});

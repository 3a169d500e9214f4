/** What a runner is given; and that a start that cannot be leaves nothing, or nothing that `stop` does not take away. */
import { access, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { getPriority, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { homePaths } from '@airlock/contract/home';
import { newId } from '@airlock/contract/ids';
import { imageOf, readVmSpec, type RunnerSecrets, type VmSpec } from '@airlock/contract/runner';
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
  ...{ vmId: newId('vm'), kind: 'browser', epoch: 1, imageId: 'img_000001', driver: 'qemu', accel: 'tcg' },
  ...{
    cpus: 1,
    memoryMib: 256,
    bootTimeoutMs: 1000,
    directHosts: [],
    root: null,
    waits: false,
    low: false,
    vmUser: null,
    ...more,
  },
});

const engineWithImage = (helperSocket: string | null = null): Engine =>
  createLocalEngine({
    settings: { AIRLOCK_HOME: home, AIRLOCK_SECRETS_ON_DISK: 'no' },
    imageFiles: async (id) => ({ kernel: `/i/${id}/k`, initrd: `/i/${id}/i`, rootfs: `/i/${id}/r` }),
    tscKhz: null,
    helperSocket,
  });

/** Where the secrets of all VMs of this home would be. */
async function placeOfSecrets(): Promise<string> {
  const folders = createSecretFolders({ AIRLOCK_HOME: home, AIRLOCK_SECRETS_ON_DISK: 'no' });
  return dirname(await folders.placeOf(newId('vm')));
}

test('without its image', async () => {
  engine = openTestEngine(home);
  const place = await placeOfSecrets();
  const wanted = plan();
  await expect(engine.start(wanted, secrets)).rejects.toMatchObject({ code: 'image_missing' });
  await expect(access(place)).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(access(homePaths(home).vm(wanted.vmId))).rejects.toMatchObject({ code: 'ENOENT' });
});

/** Starts the VM with this in the place of Node: the start fails, and is cleared away. */
async function startBy(program: string, wanted: VmPlan): Promise<void> {
  const { execPath } = process;
  process.execPath = program;
  try {
    await engine.start(wanted, secrets);
  } finally {
    process.execPath = execPath;
    await engine.stop(wanted.vmId, 0);
  }
}

test('without a program to run it with, and the reason is told', async () => {
  engine = engineWithImage();
  const place = await placeOfSecrets();
  const wanted = plan();
  await expect(startBy('/nowhere/node', wanted)).rejects.toMatchObject({
    code: 'runner_failed',
    message: expect.stringContaining('could not be started: spawn /nowhere/node ENOENT') as string,
  });
  await expect(access(place)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('with a plan that no runner takes', async () => {
  engine = engineWithImage();
  const place = await placeOfSecrets();
  await expect(engine.start(plan({ cpus: 1000 }), secrets)).rejects.toBeDefined();
  await expect(access(place)).rejects.toMatchObject({ code: 'ENOENT' });
});

describe('what its runner is given', () => {
  const imageId = 'img_000001';
  const cli = (more: Partial<VmPlan>): VmPlan => plan({ kind: 'cli', imageId, ...more });
  const folderOf = ({ vmId }: VmPlan): string => homePaths(home).vm(vmId);
  const specOf = async (wanted: VmPlan): Promise<VmSpec> =>
    readVmSpec(await readFile(homePaths(home).vmFile(wanted.vmId, 'spec'), 'utf8'));
  const start = (wanted: VmPlan): Promise<void> => expect(startBy('/bin/false', wanted)).rejects.toBeDefined();
  const rootsOf = async (wanted: VmPlan): Promise<string[]> =>
    (await readdir(folderOf(wanted))).filter((name) => name.startsWith('root.'));

  beforeEach(() => {
    engine = engineWithImage();
  });

  test.each([
    ['the root of the image', plan(), () => [{ id: 'root', path: '/i/img_000001/r', readOnly: true }]],
    [
      'the disk of the home as its root',
      cli({ root: 0 }),
      (folder: string) => [{ id: 'root', path: join(folder, 'disk.ext4'), readOnly: false }],
    ],
    [
      'a root, and the disk of the home',
      cli({ root: 2 }),
      (folder: string) => [
        { id: 'root', path: join(folder, 'root.2.img_000001.ext4'), readOnly: false },
        { id: 'home', path: join(folder, 'disk.ext4'), readOnly: false },
      ],
    ],
  ] as const)('%s', async (_what, wanted, drives) => {
    await start(wanted);
    const spec = await specOf(wanted);
    expect(spec.drives).toEqual(drives(folderOf(wanted)));
    expect(imageOf(spec)).toBe('img_000001');
    expect(await rootsOf(wanted)).toEqual([]);
  });

  test('the helper that makes its network, and no word of it where there is none', async () => {
    const wanted = plan();
    await start(wanted);
    expect(await specOf(wanted)).not.toHaveProperty('helperSocket');
    await engine.close();
    engine = engineWithImage('/run/a-helper.sock');
    await start(wanted);
    expect(await specOf(wanted)).toMatchObject({ helperSocket: '/run/a-helper.sock' });
  });

  test.each([true, false])('the weight that it is to have (low: %s)', async (low) => {
    const program = join(home, 'runner.sh');
    await writeFile(program, '#!/bin/sh\nnice >"$2/niceness"\n', { mode: 0o700 });
    const wanted = plan({ low });
    await expect(startBy(program, wanted)).rejects.toMatchObject({ code: 'runner_failed' });
    const niceness = Number(await readFile(join(folderOf(wanted), 'niceness'), 'utf8'));
    expect(niceness).toBe(low ? Math.min(19, getPriority() + 10) : getPriority());
  });

  test('its former image is noted while a root beside the home is on trial, whatever version wrote of it', async () => {
    const wanted = cli({ root: 0, imageId: 'img_000002' });
    await start(wanted);
    const { version: _, drives, secretFolder: secretDir, ...same } = await specOf(wanted);
    const old = { ...same, version: 1, rootfs: '/r', disk: drives[0]?.path, secretDir };
    await writeFile(homePaths(home).vmFile(wanted.vmId, 'spec'), JSON.stringify(old));
    await start({ ...wanted, root: 1, imageId });
    expect(await rootsOf(wanted)).toEqual(['root.0.img_000002.ext4']);
    // Tried once more: it is still needed.
    await start({ ...wanted, root: 1, imageId });
    await engine.keepRoots(wanted.vmId, [0]);
    expect(await rootsOf(wanted)).toEqual(['root.0.img_000002.ext4']);
    await engine.keepRoots(wanted.vmId, [1]);
    expect(await rootsOf(wanted)).toEqual([]);
  });
});

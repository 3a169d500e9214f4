/** The gate of a driver up to its VMM, which refuses what is no kernel here: no VM is booted. `npm run test:kvm` boots one. */
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DriverGate } from '@airlock/contract/driver-gate';
import { homePaths } from '@airlock/contract/home';
import { secretFolderOf } from '@airlock/contract/memory-folder';
import { run, systemPath } from '@airlock/contract/process';
import { idOf, makeImage } from '@airlock/image-builder/fixtures/images';
import { runDriverGate } from '@airlock/image-builder/gate/driver-gate';
import { helperSkip, listenAsHelper } from '../support/privileged-helper.js';

const skip = helperSkip();
if (skip !== null) console.log(`skipped: ${skip}`);

describe.skipIf(skip !== null)('the gate of a driver', () => {
  let home: string;
  beforeEach(async () => {
    home = await mkdtemp('/dev/shm/airlock-t-');
    vi.stubEnv('XDG_RUNTIME_DIR', home);
    const { folder, current, image } = homePaths(home).images;
    await makeImage(folder, 1);
    const disk = join(image(idOf(1)), 'rootfs.ext4');
    await rm(disk);
    await run('mkfs.ext4', ['-q', '-L', 'airlock-root', disk, '4M'], { env: { PATH: systemPath() } });
    await symlink(idOf(1), current);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await rm(home, { recursive: true });
  });
  const gate = (driver: string, helperSocket: string): Promise<DriverGate> =>
    runDriverGate({
      home,
      driver,
      accel: 'tcg',
      helperSocket,
      signal: new AbortController().signal,
      note: () => undefined,
    });
  const kept = async (): Promise<string[]> =>
    (await readdir(homePaths(home).cache).catch(() => [])).filter((name) => name.startsWith('gate-'));

  it('that fails is kept with its reason, and leaves nothing else, also where one was killed before', async () => {
    const helper = await listenAsHelper(home);
    try {
      for (const round of [1, 2]) {
        const place = secretFolderOf(home, home, 'vm_00000000000gate0');
        if (round === 2) {
          await mkdir(place, { recursive: true, mode: 0o700 });
          await writeFile(join(place, 'vm_00000000000gate0.config'), 'of one that was killed');
        }
        const found = await gate('qemu', helper.socket);
        expect(found, `round ${round}`).toMatchObject({ imageId: idOf(1), passed: false });
        expect(found.reason).toMatch(/^boot: vmm_failed: .*kernel/s);
        const file = homePaths(home).driverGate('qemu');
        expect(DriverGate.parse(JSON.parse(await readFile(file, 'utf8')))).toEqual(found);
        expect((await readdir(home)).sort()).toEqual([basename(helper.socket), 'cache', 'images'].sort());
      }
    } finally {
      await helper.close();
    }
  }, 60_000);

  it('that cannot be tried is no answer: without a helper, with a driver that is not there, without an image', async () => {
    await expect(gate('qemu', join(home, 'nobody.sock'))).rejects.toMatchObject({ code: 'helper_unavailable' });
    const helper = await listenAsHelper(home);
    try {
      await expect(gate('another', helper.socket)).rejects.toMatchObject({ code: 'vmm_unavailable' });
      await rm(homePaths(home).images.current);
      await expect(gate('qemu', helper.socket)).rejects.toMatchObject({ code: 'image_missing' });
    } finally {
      await helper.close();
    }
    expect(await kept()).toEqual([]);
  }, 60_000);
});

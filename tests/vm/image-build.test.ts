/** Building golden images, for real: two builds of the same inputs are the same bytes, and a killed one leaves nothing. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { homePaths } from '@airlock/contract/home';
import { imageFiles } from '@airlock/contract/image';
import { ImageManifest } from '@airlock/contract/image';
import { run } from '@airlock/contract/process';
import { imageHome } from '../support/home.js';
import { until } from '../support/poll.js';

const builder = fileURLToPath(new URL('../../packages/image-builder/dist/main.js', import.meta.url));
const buildTimeoutMs = 20 * 60_000;

let home: string;
/** What other builds of this host work in, or have left. */
let before: string[];
beforeAll(async () => {
  before = await leftInVarTmp();
  home = await mkdtemp('/var/tmp/airlock-t-');
  // Packages, so that they need not be fetched again, and the versions that this host has chosen, if it has.
  const [from, to] = [homePaths(imageHome()), homePaths(home)];
  await cp(from.aptCache, to.aptCache, { recursive: true }).catch(ignoreMissing);
  await cp(from.images.pins, to.images.pins).catch(ignoreMissing);
});
afterAll(() => rm(home, { recursive: true }));

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

async function build(): Promise<ImageManifest> {
  const { stdout } = await run(process.execPath, [builder, 'build', '--force', '--no-gate', '--json'], {
    env: { AIRLOCK_HOME: home },
    timeoutMs: buildTimeoutMs,
  });
  return ImageManifest.parse(JSON.parse(stdout.trim().split('\n').at(-1) ?? ''));
}

const leftInVarTmp = async (): Promise<string[]> =>
  (await readdir('/var/tmp')).filter((name) => name.startsWith('airlock-image-'));

const hashes = ({
  artefacts: { kernel, initrd, rootfs },
  sbom,
}: ImageManifest): Record<string, string | undefined> => ({
  kernel: kernel.sha256,
  initrd: initrd.sha256,
  rootfs: rootfs.sha256,
  sbom: sbom?.sha256,
});

describe('image build', () => {
  it('that is killed half way makes nothing current', async () => {
    const child = spawn(process.execPath, [builder, 'build', '--no-gate'], {
      env: { ...process.env, AIRLOCK_HOME: home },
      stdio: 'ignore',
    });
    const [own] = await until(
      'the build to work in /var/tmp',
      async () => {
        const fresh = (await leftInVarTmp()).filter((name) => !before.includes(name));
        const started = fresh.length > 0 && (await readdir(join('/var/tmp', fresh[0] ?? ''))).includes('root');
        return started ? fresh : null;
      },
      { timeoutMs: 120_000 },
    );
    child.kill('SIGKILL');
    await once(child, 'exit');
    const names = await readdir(homePaths(home).images.folder);
    expect(names.filter((name) => name.startsWith('img_') || name === 'current')).toEqual([]);
    expect(own).toBeDefined();
  }, 180_000);

  it(
    'takes over from the killed one, and gives the bytes of the image that the tests use',
    async () => {
      const made = await build();
      expect(await leftInVarTmp()).toEqual(before);
      const names = await readdir(homePaths(home).images.folder);
      expect(names).toEqual([made.id]);
      let other = ImageManifest.parse(
        JSON.parse(await readFile(join(homePaths(imageHome()).images.current, imageFiles.manifest), 'utf8')),
      );
      expect(made.inputsSha256).toBe(other.inputsSha256);
      if (made.sbom?.sha256 !== other.sbom?.sha256) {
        console.log('Debian has newer packages than when the image of the tests was built: building once more.');
        other = await build();
      }
      expect(hashes(made)).toEqual(hashes(other));
    },
    2 * buildTimeoutMs,
  );
});

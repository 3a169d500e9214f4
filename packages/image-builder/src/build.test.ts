import { mkdtemp, readdir, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { imageFiles } from '@airlock/contract/image';
import { buildImage, type BuildOptions } from './build.js';
import { idOf, makeImage } from './fixtures/images.js';
import { currentId, makeCurrent } from './image.js';
import { plainInputs, projectClis } from './inputs.js';
import { pinsOf, readPins, writePins } from './pins.js';

let home: string;
let imagesFolder: string;
let today: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'airlock-build-'));
  imagesFolder = join(home, 'images');
  today = (await plainInputs(null)).sha256;
});
afterEach(() => rm(home, { recursive: true }));

async function current(n: number, inputsSha256?: string): Promise<void> {
  await makeImage(imagesFolder, n, inputsSha256 === undefined ? {} : { inputsSha256 });
  await makeCurrent(imagesFolder, idOf(n), 'build');
}

/** A build that has to build is cancelled at once. */
function build(more: Partial<BuildOptions> = {}): Promise<{ id: string; built: boolean; said: string }> {
  const lines: string[] = [];
  const options: BuildOptions = {
    imagesFolder,
    force: false,
    clis: { from: 'pins' },
    browser: null,
    gate: null,
    signal: AbortSignal.abort(),
    write: (line) => void lines.push(line),
    ...more,
  };
  return buildImage(options).then(({ manifest, built }) => ({ id: manifest.id, built, said: lines.join('\n') }));
}

describe('what has to be built', () => {
  it('is nothing when the current image is made from the same inputs', async () => {
    await current(1, today);
    expect(await build()).toMatchObject({ id: idOf(1), built: false });
  });

  it.each<[string, () => Promise<unknown>, Partial<BuildOptions>]>([
    ['there is none', () => Promise.resolve(), {}],
    ['the current one is made from other inputs', () => current(1), {}],
    ['it is asked for', () => current(1, today), { force: true }],
    [
      'a file of the current one is cut off',
      () => current(1, today).then(() => truncate(join(imagesFolder, idOf(1), imageFiles.rootfs), 1)),
      {},
    ],
    [
      'other versions are pinned',
      async () => {
        await current(1, today);
        const { clis, lock } = await projectClis();
        const path = `node_modules/${clis[0]?.package}`;
        const other = { ...lock.packages[path], version: '99.0.0', integrity: 'sha512-AAAA' };
        const packages = { ...lock.packages, [path]: other };
        await writePins(imagesFolder, pinsOf({ clis, lock: { ...lock, packages } }, 'asked'));
      },
      {},
    ],
  ])('is an image when %s; cancelled, it changes nothing', async (_when, prepare, options) => {
    await prepare();
    const before = await currentId(imagesFolder);
    await expect(build(options)).rejects.toThrow(/abort/i);
    expect(await currentId(imagesFolder)).toBe(before);
    expect((await readdir(imagesFolder)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('is nothing when somebody went back to an older image', async () => {
    await current(1);
    await current(2, today);
    await makeCurrent(imagesFolder, idOf(1), 'rollback');
    expect(await build()).toMatchObject({
      id: idOf(1),
      built: false,
      said: `Image ${idOf(1)} was chosen instead of ${idOf(2)}, which is made from today's inputs; it stays current.`,
    });
  });

  it('is an image when the inputs have changed since somebody went back', async () => {
    await current(1);
    await current(2);
    await makeCurrent(imagesFolder, idOf(1), 'rollback');
    await expect(build()).rejects.toThrow(/abort/i);
  });

  it('--defaults takes the pinned versions away', async () => {
    await current(1, today);
    await writePins(imagesFolder, pinsOf(await projectClis(), 'asked'));
    expect(await build({ clis: { from: 'defaults' } })).toMatchObject({ built: false });
    expect(await readPins(imagesFolder)).toBeNull();
  });
});

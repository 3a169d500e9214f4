import { appendFile, mkdtemp, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { imageFiles } from '@airlock/contract/image';
import type { RunGate } from './build.js';
import { failed, idOf, makeImage, passed } from './fixtures/images.js';
import { earlierImages, readHistory } from './history.js';
import { currentId, makeCurrent, readManifest } from './image.js';
import { takeBuildLock } from './lock.js';
import { promote, rollback, type ChoiceOptions } from './promote.js';
import { verifyImage } from './verify.js';

let imagesFolder: string;
let gated: string[];
const { signal } = new AbortController();

beforeEach(async () => {
  imagesFolder = await mkdtemp(join(tmpdir(), 'airlock-promote-'));
  gated = [];
});
afterEach(() => rm(imagesFolder, { recursive: true }));

function options(report = passed): ChoiceOptions {
  const gate: RunGate = (folder) => {
    gated.push(folder);
    return Promise.resolve(report);
  };
  return { imagesFolder, gate, signal, write: () => undefined };
}

async function build(n: number): Promise<void> {
  await makeImage(imagesFolder, n);
  await makeCurrent(imagesFolder, idOf(n), 'build');
}

describe('promote', () => {
  it('makes an image current that passed everything, without starting it again', async () => {
    await build(1);
    await makeImage(imagesFolder, 2);
    expect((await promote(options(), idOf(2))).id).toBe(idOf(2));
    expect(await currentId(imagesFolder)).toBe(idOf(2));
    expect(gated).toEqual([]);
    expect((await readdir(imagesFolder)).sort()).toEqual(['current', 'history.json', idOf(1), idOf(2)]);
  });

  it('starts an image first that never was', async () => {
    await makeImage(imagesFolder, 1, { gate: null });
    await promote(options(), idOf(1));
    expect(gated).toEqual([join(imagesFolder, idOf(1))]);
    expect((await readManifest(imagesFolder, idOf(1))).gate).toEqual(passed);
  });

  it('goes back to an image of before the CLIs had their providers’ ids, and leaves its manifest in that form', async () => {
    await makeImage(imagesFolder, 1, { former: true });
    await makeCurrent(imagesFolder, idOf(1), 'build');
    await build(2);
    const back = await rollback(options());
    expect(back).toMatchObject({ id: idOf(1), guestProtocol: 1, versions: { codex: '1.0.0', claude_code: '1' } });
    const report = { ...passed, figures: { kills: 24 } };
    await verifyImage({ ...options(report), gate: options(report).gate }, back);
    const text = await readFile(join(imagesFolder, idOf(1), imageFiles.manifest), 'utf8');
    expect(JSON.parse(text)).toMatchObject({ version: 1, versions: { claude: '1', gemini: '1' }, gate: report });
    expect((await readManifest(imagesFolder, idOf(1))).gate).toEqual(report);
  });

  it.each([
    ['failed the boot gate', failed],
    ['never went through it and fails now', null],
  ])('refuses an image that %s', async (_why, gate) => {
    await build(1);
    await makeImage(imagesFolder, 2, { gate });
    await expect(promote(options(failed), idOf(2))).rejects.toMatchObject({
      code: 'image_check_failed',
      message: expect.stringContaining('screen: black'),
    });
    expect(await currentId(imagesFolder)).toBe(idOf(1));
  });

  it.each([
    ['a truncated root file system', (folder: string) => truncate(join(folder, imageFiles.rootfs), 2), 'rootfs.ext4'],
    [
      'a flipped byte in the kernel',
      (folder: string) => writeFile(join(folder, imageFiles.kernel), 'kernal'),
      'vmlinux',
    ],
    ['a missing initrd', (folder: string) => rm(join(folder, imageFiles.initrd)), 'initrd.img'],
    [
      'a changed bill of materials',
      (folder: string) => appendFile(join(folder, imageFiles.sbom), ' '),
      'sbom.spdx.json',
    ],
  ])('refuses an image with %s, by name', async (_what, damage, name) => {
    await build(1);
    await makeImage(imagesFolder, 2);
    await damage(join(imagesFolder, idOf(2)));
    const refusal = { code: 'image_corrupt', message: expect.stringContaining(name) };
    await expect(promote(options(), idOf(2))).rejects.toMatchObject(refusal);
    const manifest = await readManifest(imagesFolder, idOf(2));
    await expect(verifyImage(options(), manifest)).rejects.toMatchObject(refusal);
    expect(await currentId(imagesFolder)).toBe(idOf(1));
  });

  it.each([
    ['img_209901010000abcdef99', 'image_missing'],
    ['../etc', 'invalid_request'],
    ['.build-12345678', 'invalid_request'],
  ])('refuses %s', async (name, code) => {
    await expect(promote(options(), name)).rejects.toMatchObject({ code });
  });

  it('waits for nobody: while a build runs it refuses', async () => {
    await makeImage(imagesFolder, 1);
    const release = await takeBuildLock(imagesFolder, [], () => Promise.reject(new Error('nothing to remove')));
    await expect(promote(options(), idOf(1))).rejects.toMatchObject({ code: 'image_build_failed' });
    await release();
    await promote(options(), idOf(1));
    expect(await readdir(imagesFolder)).not.toContain('.build.lock');
  });
});

describe('rollback', () => {
  it('goes back one image at a time, past those that are gone', async () => {
    for (const n of [1, 2, 3, 4]) await build(n);
    await rm(join(imagesFolder, idOf(2)), { recursive: true });
    expect((await rollback(options())).id).toBe(idOf(3));
    expect((await rollback(options())).id).toBe(idOf(1));
    await expect(rollback(options())).rejects.toMatchObject({ code: 'image_missing' });
    expect(await currentId(imagesFolder)).toBe(idOf(1));
  });

  it('does not go back to an image that is damaged', async () => {
    for (const n of [1, 2]) await build(n);
    await truncate(join(imagesFolder, idOf(1), imageFiles.rootfs), 1);
    await expect(rollback(options())).rejects.toMatchObject({ code: 'image_corrupt' });
    expect(await currentId(imagesFolder)).toBe(idOf(2));
  });

  it('is written down', async () => {
    for (const n of [1, 2]) await build(n);
    await rollback(options());
    const entries = (await readHistory(imagesFolder)).map(({ id, why }) => [id, why]);
    expect(entries).toEqual([
      [idOf(1), 'build'],
      [idOf(2), 'build'],
      [idOf(1), 'rollback'],
    ]);
  });

  it('has nothing to go by when the history is damaged', async () => {
    await build(1);
    await writeFile(join(imagesFolder, 'history.json'), '[{');
    await expect(rollback(options())).rejects.toMatchObject({ code: 'image_missing' });
    expect(await readFile(join(imagesFolder, 'history.json'), 'utf8')).toBe('[{');
  });
});

describe('earlierImages', () => {
  type Step = [number, 'build' | 'promote' | 'rollback'];
  it.each<[string, Step[], number, number[]]>([
    [
      'builds',
      [
        [1, 'build'],
        [2, 'build'],
        [3, 'build'],
      ],
      3,
      [2, 1],
    ],
    [
      'after a rollback, what was before that',
      [
        [1, 'build'],
        [2, 'build'],
        [3, 'build'],
        [2, 'rollback'],
      ],
      2,
      [1],
    ],
    [
      'a build after a rollback',
      [
        [1, 'build'],
        [2, 'build'],
        [1, 'rollback'],
        [3, 'build'],
      ],
      3,
      [1],
    ],
    [
      'promoted back and forth',
      [
        [1, 'build'],
        [2, 'build'],
        [1, 'promote'],
      ],
      1,
      [2],
    ],
    ['the first', [[1, 'build']], 1, []],
  ])('%s', (_what, steps, current, expected) => {
    const history = steps.map(([n, why]) => ({ id: idOf(n), at: '2026-01-01T00:00:00Z', why }));
    expect(earlierImages(history, idOf(current))).toEqual(expected.map(idOf));
  });
});

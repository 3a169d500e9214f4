import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, open, readFile, rm, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { imageFiles } from '@airlock/contract/image';
import { createImages, type Images } from './image.js';

const id = 'img_202601010000abcdef01';
let home: string;
let folder: string;
let images: Images;

const contents = { kernel: 'kernel '.repeat(100), initrd: 'initrd', rootfs: 'rootfs' };
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'airlock-image-'));
  folder = join(home, 'images', id);
  await mkdir(folder, { recursive: true });
  await symlink(id, join(home, 'images', 'current'));
  const artefacts = Object.entries(contents).map(async ([name, text]) => {
    const file = imageFiles[name as keyof typeof contents];
    await writeFile(join(folder, file), text);
    return [name, { file, size: text.length, sha256: sha256(text) }] as const;
  });
  const versions = { kernel: '1', node: '1', chromium: '1', codex: '1', claude: '1', gemini: '1', agent: '1' };
  const manifest = {
    version: 1,
    id,
    createdAt: '2026-01-01T00:00:00Z',
    inputsSha256: sha256(''),
    debian: { suite: 'trixie', version: '13' },
    versions,
    artefacts: Object.fromEntries(await Promise.all(artefacts)),
    rootfsUsedBytes: 1,
    checks: ['one'],
    buildSeconds: 1,
  };
  await writeFile(join(folder, imageFiles.manifest), JSON.stringify(manifest));
  images = createImages(home);
});

afterEach(async () => {
  await images.close();
  await rm(home, { recursive: true });
});

/** Changes one byte, and puts the time back at which the file was last written. */
async function flipByte(path: string): Promise<void> {
  const { atime, mtime } = await stat(path);
  const file = await open(path, 'r+');
  await file.write(Buffer.from('X'), 0, 1, 10);
  await file.close();
  await utimes(path, atime, mtime);
}

it('compares an image once, and then trusts files that nobody has touched', async () => {
  expect((await images.get(id)).kernel).toBe(join(folder, imageFiles.kernel));
  const sealed = await readFile(join(folder, imageFiles.seal), 'utf8');
  await createImages(home).get(id);
  expect(await readFile(join(folder, imageFiles.seal), 'utf8')).toBe(sealed);
  expect((await images.current()).manifest.id).toBe(id);
});

it('refuses a kernel with a flipped byte, also when its size and time are those of before', async () => {
  await images.get(id);
  await flipByte(join(folder, imageFiles.kernel));
  await expect(images.get(id)).rejects.toMatchObject({
    code: 'image_corrupt',
    message: expect.stringContaining('vmlinux: SHA-256'),
  });
  await expect(images.current()).rejects.toMatchObject({ code: 'image_corrupt' });
});

it('takes an image again that was put right', async () => {
  await flipByte(join(folder, imageFiles.kernel));
  await expect(images.get(id)).rejects.toMatchObject({ code: 'image_corrupt' });
  await writeFile(join(folder, imageFiles.kernel), contents.kernel);
  expect((await images.get(id)).manifest.id).toBe(id);
  expect((await images.current()).manifest.id).toBe(id);
});

it.each([
  ['a truncated root file system', () => truncate(join(folder, imageFiles.rootfs), 3), 'rootfs.ext4: 3 bytes'],
  ['a missing initrd', () => rm(join(folder, imageFiles.initrd)), 'initrd.img: no such file'],
  ['a damaged manifest', () => truncate(join(folder, imageFiles.manifest), 20), 'manifest.json'],
])('refuses %s at once, by name', async (_what, damage, name) => {
  await images.get(id);
  await damage();
  const refusal = { code: 'image_corrupt', message: expect.stringContaining(name) };
  await expect(images.current()).rejects.toMatchObject(refusal);
  await expect(images.get(id)).rejects.toMatchObject(refusal);
});

it('does not take a damaged seal for an answer', async () => {
  await images.get(id);
  await writeFile(join(folder, imageFiles.seal), '{"vmlinux":');
  await flipByte(join(folder, imageFiles.kernel));
  await expect(images.get(id)).rejects.toMatchObject({ code: 'image_corrupt' });
});

it('reads in the background what nobody has compared yet', async () => {
  await flipByte(join(folder, imageFiles.kernel));
  expect((await images.current()).manifest.id).toBe(id);
  await expect
    .poll(() =>
      images.current().then(
        () => 'fine',
        (error: { code: string }) => error.code,
      ),
    )
    .toBe('image_corrupt');
});

it('says that there is no image', async () => {
  await rm(join(home, 'images'), { recursive: true });
  await expect(images.current()).rejects.toMatchObject({ code: 'image_missing' });
});

import { mkdtemp, mkdir, rm, writeFile, chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { run } from '@airlock/contract/process';
import { imageFiles } from '@airlock/contract/image';
import { describeDiff, diffImages } from './diff.js';
import { idOf, makeImage } from './fixtures/images.js';
import { searchPath } from './workspace.js';

let imagesFolder: string;
const { signal } = new AbortController();
beforeEach(async () => {
  imagesFolder = await mkdtemp(join(tmpdir(), 'airlock-diff-'));
});
afterEach(() => rm(imagesFolder, { recursive: true }));

it('tells versions, packages and artefacts apart', async () => {
  const from = await makeImage(imagesFolder, 1, { packages: { bash: '5', curl: '8' } });
  const to = await makeImage(imagesFolder, 2, { codex: '1.1.0', packages: { bash: '5.1', git: '2' } });
  const diff = await diffImages(imagesFolder, from, to, { files: false, signal });
  expect(diff).toEqual({
    from: idOf(1),
    to: idOf(2),
    artefacts: ['rootfs'],
    versions: [{ name: 'codex', from: '1.0.0', to: '1.1.0' }],
    packages: [
      { name: 'deb-bash', from: '5', to: '5.1' },
      { name: 'deb-curl', from: '8', to: null },
      { name: 'deb-git', from: null, to: '2' },
    ],
    files: null,
  });
  expect(describeDiff(diff)).toContain('  deb-git: (absent) → 2');
});

it('sees no difference in the form of a manifest', async () => {
  const from = await makeImage(imagesFolder, 1, { rootfs: 'r', former: true });
  const to = await makeImage(imagesFolder, 2, { rootfs: 'r' });
  expect(describeDiff(await diffImages(imagesFolder, from, to, { files: false, signal }))).toEqual([]);
});

it('has nothing to say of equal images', async () => {
  const [from, to] = [
    await makeImage(imagesFolder, 1, { rootfs: 'r' }),
    await makeImage(imagesFolder, 2, { rootfs: 'r' }),
  ];
  expect(describeDiff(await diffImages(imagesFolder, from, to, { files: false, signal }))).toEqual([]);
});

it('names the files that differ, by content, mode and presence', async () => {
  const roots = await Promise.all(
    [1, 2].map(async (n) => {
      const root = join(imagesFolder, `root${n}`);
      await mkdir(join(root, 'etc'), { recursive: true });
      await writeFile(join(root, 'etc/same'), 'same');
      await writeFile(join(root, 'etc/content'), `version ${n}`);
      await writeFile(join(root, 'etc/mode'), 'mode');
      await chmod(join(root, 'etc/mode'), n === 1 ? 0o644 : 0o600);
      if (n === 2) await writeFile(join(root, 'etc/new'), '');
      await run('find', [root, '-exec', 'touch', '--date=@1700000000', '{}', '+']);
      return root;
    }),
  );
  const manifests = await Promise.all([1, 2].map((n) => makeImage(imagesFolder, n)));
  for (const [index, root] of roots.entries()) {
    const rootfs = join(imagesFolder, idOf(index + 1), imageFiles.rootfs);
    await run('mkfs.ext4', ['-q', '-F', '-d', root, rootfs, '8M'], { env: { PATH: searchPath } });
  }
  const [from, to] = manifests;
  if (!from || !to) throw new Error('unreachable');
  const { files } = await diffImages(imagesFolder, from, to, { files: true, signal });
  expect(files?.map((change) => change.name)).toEqual(['/etc/content', '/etc/mode', '/etc/new']);
  expect(files?.[1]).toMatchObject({ from: expect.stringContaining('0644'), to: expect.stringContaining('0600') });
}, 60_000);

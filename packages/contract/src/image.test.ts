import { expect, it } from 'vitest';
import { ImageManifest } from './image.js';

const artefact = { file: 'rootfs.ext4', size: 1, sha256: '0'.repeat(64) };
const integrity = 'sha512-AAAA';
/** As an image of before was described; some lack `clis` and what follows in the contract. */
const former = {
  version: 1,
  id: 'img_202601011200abcdef01',
  createdAt: '2026-01-01T12:00:00Z',
  inputsSha256: '0'.repeat(64),
  debian: { suite: 'trixie', version: '13.1' },
  versions: {
    kernel: '6',
    node: '20',
    chromium: '150',
    codex: '0.169.0',
    claude: '2.1.197',
    gemini: '0.61.0',
    agent: '1',
  },
  artefacts: { kernel: artefact, initrd: artefact, rootfs: artefact },
  rootfsUsedBytes: 1,
  checks: ['one'],
  buildSeconds: 1,
};
const versions = {
  ...{ kernel: '6', node: '20', chromium: '150', agent: '1' },
  ...{ codex: '0.169.0', claude_code: '2.1.197', gemini_cli: '0.61.0' },
};

it('reads a manifest of version 1 as one of version 2, whose agent understands protocol 1', () => {
  expect(ImageManifest.parse(former)).toMatchObject({ version: 2, versions, clis: [], gate: null, guestProtocol: 1 });
  const clis = [{ id: 'gemini', package: '@google/gemini-cli', version: '0.61.0', integrity }];
  expect(ImageManifest.parse({ ...former, clis }).clis).toEqual([{ ...clis[0], id: 'gemini_cli' }]);
});

it('reads what it has read again', () => {
  const read = ImageManifest.parse(former);
  expect(ImageManifest.parse(JSON.parse(JSON.stringify(read)))).toEqual(read);
});

it('reads what a newer builder writes of an image, as far as that is known', () => {
  const newer = { ...former, version: 2, versions, guestProtocol: 99 };
  const read = ImageManifest.parse({ ...newer, next: 1 });
  expect(read).toEqual(ImageManifest.parse(newer));
  expect(read).toMatchObject({ guestProtocol: 99 });
});

it.each([
  ['version 2 without a protocol', { ...former, version: 2, versions }],
  [
    'version 2 without the version of its kernel',
    { ...former, version: 2, versions: { codex: '1' }, guestProtocol: 2 },
  ],
  ['version 1 with a member that it never had', { ...former, guestProtocol: 2 }],
  ['a version to come', { ...former, version: 3, guestProtocol: 2 }],
])('refuses %s', (_what, manifest) => {
  expect(ImageManifest.safeParse(manifest).success).toBe(false);
});

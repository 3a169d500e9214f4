import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CliSet, NpmLock } from './clis.js';
import { imagesPaths } from '@airlock/contract/home';
import { clisOf } from './cli.js';
import { exampleLock } from './fixtures/clis.js';
import {
  applyPins,
  compareVersions,
  parseCliOptions,
  parseProjectVersions,
  pinsOf,
  readPins,
  writePins,
} from './pins.js';

const clis = clisOf(exampleLock);

function setOf(codex: string): CliSet {
  const own = clis.map((cli) => ({ ...cli, version: cli.id === 'codex' ? codex : '1.0.0' }));
  const entries = own.map(({ package: name, native, version }) => [
    `node_modules/${name}`,
    { ...(native && { name: native.package }), version, integrity: `sha512-${version}` },
  ]);
  const lock: NpmLock = { packages: Object.fromEntries(entries) };
  return { clis: own.map((cli) => ({ ...cli, integrity: `sha512-${cli.version}` })), lock };
}
const versionOf = (set: CliSet): string | undefined => set.clis.find((cli) => cli.id === 'codex')?.version;

describe('which versions are built', () => {
  it.each([
    ['nothing is pinned', null, '2.0.0'],
    ['a newer one was asked for', pinsOf(setOf('3.0.0'), 'asked'), '3.0.0'],
    ['an older one was asked for', pinsOf(setOf('1.0.0'), 'asked'), '1.0.0'],
    ['a refresh found a newer one', pinsOf(setOf('3.0.0'), 'refresh'), '3.0.0'],
    ['the project has overtaken a refresh', pinsOf(setOf('1.9.9'), 'refresh'), '2.0.0'],
  ])('%s', (_when, pins, version) => expect(versionOf(applyPins(setOf('2.0.0'), pins))).toBe(version));

  it('does not hide a provider that has come since', () => {
    const before = (from: 'asked' | 'refresh') => {
      const [, ...known] = setOf('3.0.0').clis;
      const entries = known.map((cli) => [`node_modules/${cli.package}`, { version: '1.0.0', integrity: 'sha512-A' }]);
      return pinsOf({ clis: known, lock: { packages: Object.fromEntries(entries) } }, from);
    };
    expect(applyPins(setOf('2.0.0'), before('refresh'))).toEqual(setOf('2.0.0'));
    expect(() => applyPins(setOf('2.0.0'), before('asked'))).toThrowError(/do not include \S+, which is new/);
  });

  it('does not build another package of a CLI than the project does, with a lock file from before', () => {
    const before = (from: 'asked' | 'refresh') => {
      const entries = clis.map((cli) => [`node_modules/${cli.package}`, { version: '3.0.0', integrity: 'sha512-A' }]);
      return pinsOf({ clis, lock: { packages: Object.fromEntries(entries) } }, from);
    };
    expect(applyPins(setOf('2.0.0'), before('refresh'))).toEqual(setOf('2.0.0'));
    expect(() => applyPins(setOf('2.0.0'), before('asked'))).toThrowError(
      /include @anthropic-ai\/claude-code-linux-x64,/,
    );
  });

  it('takes the checksums along', () => {
    expect(applyPins(setOf('2.0.0'), pinsOf(setOf('3.0.0'), 'asked'))).toEqual(setOf('3.0.0'));
  });
});

it.each([
  ['1.2.3', '1.2.3', 0],
  ['1.10.0', '1.9.9', 1],
  ['2.0.0-beta.1', '2.0.0', -1],
  ['0.169.0', '0.170.0', -1],
])('compares %s with %s', (a, b, sign) => expect(Math.sign(compareVersions(a, b))).toBe(sign));

describe('--cli', () => {
  it('is read as versions by name', () => {
    expect(parseCliOptions(['codex@0.170.0', 'gemini@1.0.0-rc.1', 'claude_code@2.2.0'])).toEqual({
      codex: '0.170.0',
      gemini_cli: '1.0.0-rc.1',
      claude_code: '2.2.0',
    });
  });

  it.each(['codex', 'codex@', 'codex@latest', 'emacs@1.0.0', 'codex@1.0.0;rm', '@openai/codex@1.0.0', 'codex@^1.0.0'])(
    'refuses %s',
    (value) => {
      expect(() => parseCliOptions([value])).toThrowError(/expected one of .*codex, gemini_cli/);
    },
  );
});

it('takes the newest where the versions of the project are chosen', () => {
  expect(parseProjectVersions(['codex@*', 'gemini_cli@0.62.0'])).toEqual({ codex: '*', gemini_cli: '0.62.0' });
  expect(() => parseProjectVersions(['codex@latest'])).toThrowError(/^codex@latest: expected one of/);
  expect(() => parseCliOptions(['codex@*'])).toThrowError(/expected one of/);
});

describe('pins.json', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'airlock-pins-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('is read as it was written, and can be taken away', async () => {
    expect(await readPins(folder)).toBeNull();
    const pins = pinsOf(setOf('3.0.0'), 'refresh');
    await writePins(folder, pins);
    expect(await readPins(folder)).toEqual(pins);
    await writePins(folder, null);
    expect(await readPins(folder)).toBeNull();
  });

  it('is understood with the names that CLIs had before', async () => {
    const former = { codex: '3.0.0', claude: '1.0.0', gemini: '1.0.0' };
    await writeFile(imagesPaths(folder).pins, JSON.stringify({ ...pinsOf(setOf('3.0.0'), 'asked'), clis: former }));
    expect((await readPins(folder))?.clis).toMatchObject({ codex: '3.0.0', claude_code: '1.0.0', gemini_cli: '1.0.0' });
  });

  it('is refused by name when it is damaged', async () => {
    await writeFile(imagesPaths(folder).pins, '{"version":1');
    await expect(readPins(folder)).rejects.toMatchObject({ code: 'config_invalid' });
  });
});

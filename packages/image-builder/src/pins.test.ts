import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CliSet, NpmLock } from './clis.js';
import { description } from './description.js';
import { imagesPaths } from '@airlock/contract/home';
import { applyPins, compareVersions, parseCliOptions, pinsOf, readPins, writePins } from './pins.js';

function setOf(codex: string): CliSet {
  const clis = description.clis.map((cli) => ({ ...cli, version: cli.id === 'codex' ? codex : '1.0.0' }));
  const entries = clis.map(({ package: name, version }) => [
    `node_modules/${name}`,
    { version, integrity: `sha512-${version}` },
  ]);
  const lock: NpmLock = { packages: Object.fromEntries(entries) };
  return { clis: clis.map((cli) => ({ ...cli, integrity: `sha512-${cli.version}` })), lock };
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
    expect(parseCliOptions(['codex@0.170.0', 'gemini@1.0.0-rc.1'], description.clis)).toEqual({
      codex: '0.170.0',
      gemini: '1.0.0-rc.1',
    });
  });

  it.each(['codex', 'codex@', 'codex@latest', 'emacs@1.0.0', 'codex@1.0.0;rm', '@openai/codex@1.0.0', 'codex@^1.0.0'])(
    'refuses %s',
    (value) => {
      expect(() => parseCliOptions([value], description.clis)).toThrowError(/expected one of codex, claude, gemini/);
    },
  );
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

  it('is refused by name when it is damaged', async () => {
    await writeFile(imagesPaths(folder).pins, '{"version":1');
    await expect(readPins(folder)).rejects.toMatchObject({ code: 'config_invalid' });
  });
});

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { installationMatches, nodeIsSupported } from './checkout.mjs';
import { asShell, planInstall, readPackageList } from './host-packages.mjs';

const json = (path) => JSON.parse(readFileSync(new URL(`../${path}`, import.meta.url), 'utf8'));
const sources = [
  { uris: ['http://m.invalid/debian'], suites: ['bookworm'], components: ['main'], signedBy: '/k.gpg', trusted: '' },
];
const qemu = readPackageList().run.find((entry) => entry.name === 'qemu-system-x86');
const zstd = { name: 'zstd', why: 'test' };
const commands = (steps) => steps.map(({ argv }) => argv.slice(argv.indexOf('--quiet') + 1).join(' '));

test('every package has a reason, and every workspace is listed', () => {
  for (const entry of Object.values(readPackageList()).flat()) expect(entry.why).toMatch(/\w+ \w+/);
  const { npm } = json('scripts/packages.json');
  expect(npm.lists).toEqual(['package.json', ...json('package.json').workspaces.map((path) => `${path}/package.json`)]);
});

test('Debian 12: QEMU from backports, whose source is added once', () => {
  const steps = planInstall([qemu, zstd], { codename: 'bookworm', sources });
  expect(commands(steps)).toEqual([
    'tee /etc/apt/sources.list.d/airlock-backports.sources',
    'update',
    'install --yes --no-install-recommends zstd',
    'install --yes --no-install-recommends -t bookworm-backports qemu-system-x86',
  ]);
  expect(steps[0].input).toContain('URIs: http://m.invalid/debian\nSuites: bookworm-backports\n');
  const again = [...sources, { ...sources[0], suites: ['bookworm-backports'] }];
  expect(commands(planInstall([qemu], { codename: 'bookworm', sources: again }))).toEqual([
    'install --yes --no-install-recommends -t bookworm-backports qemu-system-x86',
  ]);
});

test('Debian 13: all from the suite', () => {
  expect(commands(planInstall([qemu, zstd], { codename: 'trixie', sources: [] }))).toEqual([
    'install --yes --no-install-recommends qemu-system-x86 zstd',
  ]);
});

test('a machine without a Debian source is told so', () => {
  expect(() => planInstall([qemu], { codename: 'bookworm', sources: [] })).toThrow(/No apt source/);
});

test('the printed commands can be pasted', () => {
  expect(asShell([{ argv: ['tee', '/a b'], input: 'x\n' }, { argv: ['apt-get', 'update'] }], ['sudo'])).toBe(
    "sudo tee '/a b' <<'EOF'\nx\nEOF\nsudo apt-get update",
  );
});

test('the printed commands work on a machine without package lists', () => {
  const lines = asShell(planInstall([zstd], { codename: 'trixie', sources: [] }), []).split('\n');
  expect(lines.map((line) => line.replace(/^.*--quiet /, ''))).toEqual([
    'update',
    'install --yes --no-install-recommends zstd',
  ]);
});

test.each([
  ['20.18.9', false],
  ['20.19.0', true],
  ['21.7.3', false],
  ['22.11.0', false],
  ['22.12.0', true],
  ['24.1.0', true],
  ['18.20.4', false],
])('Node %s supported: %s', (version, supported) => {
  expect(nodeIsSupported(version)).toBe(supported);
});

test('nodeIsSupported says what package.json says', () => {
  expect(json('package.json').engines.node).toBe('>=20.19 <21 || >=22.12');
});

test.each([
  ['same', { 'node_modules/a': { version: '1.0.0' } }, true],
  ['other version', { 'node_modules/a': { version: '1.0.1' } }, false],
  ['one is missing', {}, false],
  ['one too many', { 'node_modules/a': { version: '1.0.0' }, 'node_modules/b': { version: '1.0.0' } }, false],
])('npm packages: %s', (_name, packages, matches) => {
  const lock = { packages: { '': {}, 'node_modules/a': { version: '1.0.0' }, 'node_modules/o': { optional: true } } };
  expect(installationMatches(lock, { packages })).toBe(matches);
});

/** The layout of AIRLOCK_HOME is known by packages/contract/src/home.ts alone: nobody else joins a name of it. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { homePaths } from '@airlock/contract/home';

const root = new URL('../', import.meta.url);
const owner = 'packages/contract/src/home.ts';

/** Names of the layout that mean nothing else; `cache`, `token` and `db` are words that others use too. */
const telling = [
  'controller.lock',
  'controller.json',
  'controller.log',
  'vault.key',
  'host-probe.json',
  'history.json',
  'canary.json',
];
telling.push('pins.json', '.build.lock');
/** Names that are of the layout when they are joined to something. */
const joined = ['vm', 'images', 'db', 'token', 'secret', 'cache', 'current'];

const quoted = (names) => names.map((name) => name.replace('.', '\\.')).join('|');
const knows = new RegExp(
  `['"\`/](?:${quoted(telling)})['"\`]|join\\([^()]+, ['"](?:${quoted(joined)})(?:/[^'"]*)?['"]`,
  'u',
);

/** Lines that name a part of the layout, but for comments. */
const findings = (file, text) =>
  text
    .split('\n')
    .flatMap((line, index) => (knows.test(line.replace(/^\s*(\/?\*|\/\/).*/, '')) ? [`${file}:${index + 1}`] : []));

test('notices who joins a name of the layout', () => {
  expect(
    findings('x.ts', "const a = join(home, 'vm', vmId);\n// join(home, 'vm')\nconst b = `${home}/vault.key`;"),
  ).toEqual(['x.ts:1', 'x.ts:3']);
});

test('only contract/home knows the layout of AIRLOCK_HOME', () => {
  // Not meant: tests beside the code, which write down what a person finds there, and homes that earlier versions left.
  const files = execFileSync('git', ['ls-files', 'packages', 'tests', 'scripts'], { cwd: root, encoding: 'utf8' })
    .split('\n')
    .filter((file) => /\.(ts|mjs)$/.test(file) && !/^(packages|scripts)\/.*\.test\./.test(file))
    .filter((file) => !/^(scripts\/upgrade\/|tests\/support\/landed|tests\/integration\/upgrade-)/.test(file))
    .filter((file) => file !== owner && !/^packages\/(guest-agent|dashboard)\//.test(file));
  expect(files.length).toBeGreaterThan(200);
  expect(files.flatMap((file) => findings(file, readFileSync(new URL(file, root), 'utf8')))).toEqual([]);
});

test('the header of contract/home draws every path that it gives', () => {
  const header = readFileSync(new URL(owner, root), 'utf8').split('*/')[0];
  const { images, vm, vmFile, savedFile, driverGate, ...paths } = homePaths('/home');
  const { image, build, folder, ...ofImages } = images;
  const names = [...Object.values(paths), driverGate('<driver>'), folder, ...Object.values(ofImages)].map((path) =>
    path.split('/').at(-1),
  );
  expect([vm('x'), vmFile('x', 'spec'), savedFile('x', 'state'), image('x'), build('x')]).toHaveLength(5);
  expect(names.filter((name) => !new RegExp(`^ \\* +${name.replace('.', '\\.')}(/| )`, 'mu').test(header))).toEqual([]);
});

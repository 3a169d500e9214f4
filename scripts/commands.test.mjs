/** Every `airlock …` and `npm run …` that code says in hints and help, or documents name, is a command that exists, with its options. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createProgram } from '../packages/cli/src/program.ts';
import { help as builderHelp } from '../packages/image-builder/src/commands.ts';
import { root } from './checkout.mjs';

const program = createProgram();
const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: root, encoding: 'utf8' }).split(
  '\n',
);

const scripts = files
  .filter((path) => /^(packages\/[^/]+\/)?package\.json$/.test(path))
  .flatMap((path) => Object.keys(JSON.parse(readFileSync(join(root, path), 'utf8')).scripts ?? {}));
const texts = files.filter(
  (path) => /\.(ts|tsx|mjs|cjs|md|service|sh)$/.test(path) && !/\/fixtures\/|\.test\.\w+$/.test(path),
);

/** Text that is no call: the test key of the upgrade fixtures is made of it. */
const noCall = /'airlock upgrade fixtures'/g;

/** The words after `airlock`, up to where a sentence or another command goes on. */
const called = /(?<![\w/@.$-])airlock((?: (?:[a-z][\w-]*|--[a-z][\w-]*))+)/g;

/** What is wrong with a call, or undefined. */
function fault(words) {
  let command = program;
  for (const word of words) {
    if (word.startsWith('--')) {
      const known = [...command.options.map(({ long }) => long), '--help'];
      const fromBuilder = command.parent?.name() === 'image' && builderHelp.includes(word);
      if (!known.includes(word) && !fromBuilder) return `${command.name()} has no option ${word}`;
    } else if (command.commands.length > 0) {
      const next = command.commands.find((one) => one.name() === word);
      if (!next) return `${command.name()} has no command ${word}`;
      command = next;
    }
  }
  return undefined;
}

/** Calls that cannot be made: `airlock login`, say. */
function faultsIn(text) {
  const ours = [...text.replaceAll(noCall, '').matchAll(called)].map(([call, words]) => [
    call,
    fault(words.trim().split(' ')),
  ]);
  const npm = [...text.matchAll(/npm run ([a-z][\w:-]*)/g)].map(([call, name]) => [
    call,
    scripts.includes(name) ? undefined : 'no such script',
  ]);
  return [...ours, ...npm].filter(([, why]) => why !== undefined).map(([call, why]) => `${call}: ${why}`);
}

test('documents, hints and help name only commands that exist', () => {
  expect(texts.length).toBeGreaterThan(300);
  const found = texts.flatMap((path) => faultsIn(readFileSync(join(root, path), 'utf8')).map((it) => `${path}: ${it}`));
  expect(found).toEqual([]);
});

test('a command, a verb, an option and a script that do not exist are found', () => {
  const text =
    'Run `npx airlock login`, airlock vm remove, airlock doctor --loud or npm run nothing; see airlock vm list.';
  expect(faultsIn(text)).toHaveLength(4);
});

test('the table of commands in the README is complete', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const all = program.commands.flatMap((command) =>
    command.commands.length === 0
      ? [command.name()]
      : command.commands.map((verb) => `${command.name()} ${verb.name()}`),
  );
  expect(all.filter((name) => !readme.includes(`airlock ${name}`))).toEqual([]);
});

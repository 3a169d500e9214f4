/** What a root must show, from inside, before it may become an image. Each check is a piece of shell that ends with 0. */
import { AppError } from '@airlock/contract/errors';
import type { PinnedBrowser } from '../chrome.js';
import type { Cli } from '../cli.js';
import { browserChecks } from './browser.js';
import { desktopChecks } from './desktop.js';
import { guestFileChecks } from './guest-files.js';
import { homeDiskChecks } from './home-disk.js';
import { initrdChecks } from './initrd.js';
import { programChecks } from './programs.js';
import { quote, type Check } from './shell.js';
import { tidinessChecks } from './tidiness.js';
import { unitChecks } from './units.js';

/** All checks, in the order in which they are run; `browser` takes the place of Debian's Chromium. */
export function checksFor(clis: readonly Cli[], browser: PinnedBrowser | null): Check[] {
  return [
    ...programChecks(clis),
    ...browserChecks(browser),
    ...unitChecks(),
    ...desktopChecks(),
    ...guestFileChecks(),
    ...homeDiskChecks(),
    ...tidinessChecks(),
    ...initrdChecks(),
  ];
}

/** So many checks run at a time: most only wait for a program to start. */
const lanes = 2;

/** Shell that runs these checks in lanes and waits for all. */
function inLanes(checks: readonly Check[]): string[] {
  const lines = checks.map(({ name, script }) => `\tcheck ${quote(name)} ${quote(script)}`);
  const lane = (number: number): string[] => lines.filter((_, index) => index % lanes === number);
  return [...Array.from({ length: lanes }, (_, number) => ['{', '\t:', ...lane(number), '} &']).flat(), 'wait'];
}

/** A shell script that runs all checks and prints `check ok NAME` or `check failed NAME: last output`; always ends with 0. */
export function checkScript(checks: readonly Check[]): string {
  return [
    '#!/bin/sh',
    '# Printed by the image builder from src/check/.',
    'export HOME=$(mktemp -d)',
    'check() {',
    '\tif output=$(sh -c "$2" 2>&1 </dev/null); then echo "check ok $1"; else',
    '\t\techo "check failed $1: $(echo "$output" | tail -n 3 | tr "\\n" " ")"',
    '\tfi',
    '}',
    ...inLanes(checks.filter(({ walks }) => walks !== true)),
    ...inLanes(checks.filter(({ walks }) => walks === true)),
    'rm -rf "$HOME"',
    '',
  ].join('\n');
}

/**
 * The names of the checks, given what the script printed.
 * @throws AppError image_check_failed naming every check that failed or was not run.
 */
export function readCheckResults(checks: readonly Check[], output: string): string[] {
  const lines = output.split('\n');
  const problems = checks.flatMap(({ name }) => {
    if (lines.includes(`check ok ${name}`)) return [];
    return [
      lines.find((line) => line.startsWith(`check failed ${name}:`))?.slice('check failed '.length) ??
        `${name}: not run`,
    ];
  });
  if (problems.length === 0) return checks.map(({ name }) => name);
  throw new AppError(
    'image_check_failed',
    `${problems.length} of ${checks.length} checks of the new image failed:\n${problems.map((line) => `  ${line}`).join('\n')}`,
    { hint: 'The current image is unchanged. Each check is a line of packages/image-builder/src/check/.' },
  );
}

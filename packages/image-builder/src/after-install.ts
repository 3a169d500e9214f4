/**
 * The CLIs' own install scripts, which npm is told to leave alone: they run in the new root, with the root's Node and an empty
 * environment, and never on the host that builds.
 */
import type { Cli } from './cli.js';
import { quote } from './check/shell.js';

const modules = '/usr/local/lib/node_modules';

function linesOf({ package: name, command, afterInstall }: Cli): string[] {
  if (afterInstall === undefined) return [];
  // It may have put another program in the place of the one that was executable.
  const program = `/usr/local/bin/${command}`;
  return [
    `cd ${quote(`${modules}/${name}`)}`,
    `node ${quote(afterInstall)}`,
    `chmod 0755 "$(realpath ${quote(program)})"`,
  ];
}

/** A shell script for the new root. */
export function afterInstallScript(clis: readonly Cli[]): string {
  const head = ['#!/bin/sh', '# Printed by the image builder from src/after-install.ts.', 'set -eu'];
  return [...head, ...clis.flatMap(linesOf), ''].join('\n');
}

/** What the image leaves out of the CLIs' packages, as the providers' files say: a piece of the shell that runs in the new root. */
import type { Cli } from './cli.js';

const modules = '/usr/local/lib/node_modules';

function linesOf({ package: name, leftOut = [], bundle }: Cli): string[] {
  const folders = leftOut.map((pattern) => `find . -type d -path '${pattern}' -prune -exec rm -rf {} +`);
  const chunks = bundle && [
    `dead=$(node "$build/dead-chunks.mjs" '${bundle.folder}' '${bundle.entry}')`,
    `for chunk in $dead; do rm "${bundle.folder}/$chunk"; done`,
  ];
  const lines = [...folders, ...(chunks ?? [])];
  return lines.length === 0 ? [] : [`cd '${modules}/${name}'`, ...lines];
}

/** A shell script; slim.sh runs it. */
export function leftOutScript(clis: readonly Cli[]): string {
  return [
    '#!/bin/sh',
    '# Printed by the image builder from src/left-out.ts.',
    'set -eu',
    'build=$(realpath "${0%/*}")',
    ...clis.flatMap(linesOf),
    '',
  ].join('\n');
}

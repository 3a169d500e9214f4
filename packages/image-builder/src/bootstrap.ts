/** Makes the root: Debian by mmdebstrap, then, inside it, the stage, finish.sh and the checks. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@airlock/contract/process';
import { networkOptions, readAptSources, sourcesFor } from './apt-sources.js';
import { buildDir } from './checks.js';
import type { Description } from './description.js';
import { mode, searchPath, type Workspace } from './workspace.js';

/** What mmdebstrap's hooks print at their beginning, so that the caller can follow. */
export const marks = { finish: 'airlock-mark finish', checks: 'airlock-mark checks' } as const;

/** Files that the root leaves in the workspace for the builder. */
export const handedOut = ['initrd.img', 'vmlinuz', 'facts'] as const;

const inside = `env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 chroot "$1" sh ${buildDir}`;

/** mmdebstrap's arguments. Pure; paths must be free of white space. */
export function mmdebstrapArguments(
  description: Description,
  workspace: Workspace,
  stageTar: string,
  aptOptions: string,
): string[] {
  // mmdebstrap cannot be given this as a file: as a mapped user it could not read what nobody else may read.
  const hostOptions = '/etc/apt/apt.conf.d/00airlock-host';
  const early = [`upload ${aptOptions} ${hostOptions}`, `chmod 0600 "$1${hostOptions}"`];
  const hooks = [
    `echo ${marks.finish}`,
    `tar-in ${stageTar} /`,
    `${inside}/finish.sh`,
    `echo ${marks.checks}`,
    `${inside}/check.sh`,
    ...handedOut.map((name) => `download ${buildDir}/${name} ${join(workspace.path, name)}`),
    `rm -rf "$1${buildDir}"`,
  ];
  return [
    `--mode=${mode}`,
    '--variant=minbase',
    '--format=directory',
    '--verbose',
    `--include=${description.packages.join(',')}`,
    '--aptopt=Acquire::Languages "none"',
    ...description.leftOut.map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
    ...description.keptAnyway.map((pattern) => `--dpkgopt=path-include=${pattern}`),
    // A crash in the middle throws the root away anyway.
    '--dpkgopt=force-unsafe-io',
    ...early.map((hook) => `--setup-hook=${hook}`),
    ...hooks.map((hook) => `--customize-hook=${hook}`),
    description.suite,
    workspace.root,
    '-',
  ];
}

/**
 * Runs mmdebstrap. Proxies and mirrors may carry passwords, so they go through a private file and standard input.
 * @returns everything that the checks printed.
 */
export async function makeRoot(
  description: Description,
  workspace: Workspace,
  stageTar: string,
  signal: AbortSignal,
  onLine: (line: string) => void,
): Promise<string> {
  const sources = sourcesFor(description.suite, await readAptSources());
  const aptConfig = await run('apt-config', ['dump'], { signal });
  const aptOptions = join(workspace.path, 'apt.conf');
  await writeFile(aptOptions, networkOptions(aptConfig.stdout).join('\n'), { mode: 0o600 });
  const args = mmdebstrapArguments(description, workspace, stageTar, aptOptions);
  const { stdout, stderr } = await run('mmdebstrap', args, {
    input: `${sources.join('\n')}\n`,
    // The image has an initrd of its own: INITRD=No keeps the kernel package from making one.
    env: { PATH: searchPath, TMPDIR: workspace.path, INITRD: 'No' },
    signal,
    onLine,
  });
  // Where a hook's output goes depends on the mode.
  return `${stdout}\n${stderr}`;
}

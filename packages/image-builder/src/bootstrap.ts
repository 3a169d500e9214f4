/** Makes the root: Debian by mmdebstrap, then, inside it, the stage, finish.sh and the checks. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@airlock/contract/process';
import { networkOptions, readAptSources, sourcesFor } from './apt-sources.js';
import { buildFolder } from './check/shell.js';
import type { DebCache } from './deb-cache.js';
import type { Description } from './description.js';
import { mode, searchPath, type Workspace } from './workspace.js';

/** What mmdebstrap's hooks print at their beginning, so that the caller can follow. */
export const marks = { finish: 'airlock-mark finish', checks: 'airlock-mark checks' } as const;

/** Files that the root leaves in the workspace for the builder. */
export const handedOut = [
  'initrd.img',
  'vmlinuz',
  'facts',
  'kernel-config',
  'packages',
  'licences',
  'npm-packages',
] as const;

export interface RootPlan {
  description: Description;
  workspace: Workspace;
  /** A tar file, or a pipe that one comes through: what goes into the root besides Debian. */
  stageTar: string;
  debCache: DebCache;
  /** Google Chrome takes Chromium's place; its package is in the stage. */
  chrome: boolean;
}

const archives = '/var/cache/apt/archives';

/** Packages kept from the last build come in before apt looks for them, and go out again as apt left them. */
function cacheArguments({ debs, fresh }: DebCache): string[] {
  return [
    // Without these, mmdebstrap insists on an empty folder, and takes the first packages away after use.
    '--skip=download/empty',
    '--skip=essential/unlink',
    `--setup-hook=mkdir -p "$1${archives}"`,
    `--setup-hook=sync-in ${debs} ${archives}`,
    '--customize-hook=chroot "$1" apt-get autoclean --quiet=2',
    `--customize-hook=sync-out ${archives} ${fresh}`,
  ];
}

/** mmdebstrap's arguments. Pure; paths must be free of white space. */
export function mmdebstrapArguments(
  { description, workspace, stageTar, debCache, chrome }: RootPlan,
  aptOptions: string,
): string[] {
  const epoch = `SOURCE_DATE_EPOCH=${description.epoch}`;
  const inside = `env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 ${epoch} chroot "$1" sh ${buildFolder}`;
  // mmdebstrap cannot be given this as a file: as a mapped user it could not read what nobody else may read.
  const hostOptions = '/etc/apt/apt.conf.d/00airlock-host';
  const early = [`upload ${aptOptions} ${hostOptions}`, `chmod 0600 "$1${hostOptions}"`];
  const hooks = [
    `echo ${marks.finish}`,
    // Not mmdebstrap's own tar-in, which carries every byte through Perl.
    `tar --extract --file=${stageTar} --directory="$1" --numeric-owner`,
    ...(chrome ? [`${inside}/chrome.sh`] : []),
    `${inside}/collect.sh`,
    `${inside}/finish.sh`,
    `${inside}/normalise.sh`,
    `echo ${marks.checks}`,
    `${inside}/check.sh`,
    ...handedOut.map((name) => `download ${buildFolder}/${name} ${join(workspace.path, name)}`),
    `rm -rf "$1${buildFolder}"`,
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
    ...cacheArguments(debCache),
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
export async function makeRoot(plan: RootPlan, signal: AbortSignal, onLine: (line: string) => void): Promise<string> {
  const { description, workspace } = plan;
  const sources = sourcesFor(description.suite, readAptSources());
  const aptConfig = await run('apt-config', ['dump'], { signal });
  const aptOptions = join(workspace.path, 'apt.conf');
  await writeFile(aptOptions, networkOptions(aptConfig.stdout).join('\n'), { mode: 0o600 });
  const { stdout, stderr } = await run('mmdebstrap', mmdebstrapArguments(plan, aptOptions), {
    input: `${sources.join('\n')}\n`,
    env: {
      PATH: searchPath,
      TMPDIR: workspace.path,
      // The image has an initrd of its own: INITRD=No keeps the kernel package from making one.
      INITRD: 'No',
      SOURCE_DATE_EPOCH: String(description.epoch),
    },
    signal,
    onLine,
  });
  // Where a hook's output goes depends on the mode.
  return `${stdout}\n${stderr}`;
}

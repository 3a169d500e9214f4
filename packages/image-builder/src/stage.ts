/** Gathers what goes into the root besides Debian (CLIs, guest files, agent, scripts of the build) as one tar file. */
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { guestPaths } from '@airlock/contract/guest';
import { run } from '@airlock/contract/process';
import { buildDir } from './checks.js';
import type { Description } from './description.js';
import { writeEntry, type InputEntry } from './inputs.js';

/**
 * Installs the CLIs below `stage`/usr/local with the machine's own npm and its configuration. Install scripts stay off,
 * except those that the description names.
 */
export async function installClis(
  stage: string,
  { clis }: Description,
  signal: AbortSignal,
  onLine: (line: string) => void,
): Promise<void> {
  const prefix = join(stage, 'usr/local');
  const packages = clis.map((cli) => `${cli.package}@${cli.version}`);
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--engine-strict=false', '--loglevel=http'];
  // Somewhere without a package.json or .npmrc of a project.
  await run('npm', ['install', '--global', `--prefix=${prefix}`, ...flags, ...packages], {
    cwd: stage,
    env: withoutProject(process.env),
    cleanEnv: true,
    signal,
    onLine,
  });
  for (const cli of clis) {
    if (cli.afterInstall === null) continue;
    const folder = join(prefix, 'lib/node_modules', cli.package);
    await run(process.execPath, [cli.afterInstall], { cwd: folder, signal });
  }
}

/**
 * The environment without what `npm run` adds of the project it runs in: its prefix and its own strictness about scripts, with
 * which a global install elsewhere fails. The machine's registry, proxy and CA settings stay.
 */
export function withoutProject(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const ofProject =
    /^npm_(lifecycle|package|command|execpath|node_execpath|config_(local_prefix|prefix|global_prefix|(strict_)?allow_scripts|engine_strict|call)$)/;
  return Object.fromEntries(Object.entries(env).filter(([name]) => !ofProject.test(name)));
}

export interface StageContent {
  guest: readonly InputEntry[];
  /** finish.sh and what else the chroot runs. */
  scripts: readonly InputEntry[];
  agent: InputEntry;
}

/** Writes everything else below `stage`, then packs `stage` (and removes it): all files belong to root inside. */
export async function packStage(
  stage: string,
  content: StageContent,
  tarPath: string,
  signal: AbortSignal,
): Promise<void> {
  for (const entry of content.guest) await writeEntry(stage, entry);
  for (const entry of content.scripts) await writeEntry(join(stage, buildDir), entry);
  await writeEntry(join(stage, dirname(guestPaths.agentBundle)), content.agent);
  const ownership = ['--owner=0', '--group=0', '--numeric-owner', '--mode=u=rwX,go=rX'];
  await run('tar', ['--create', `--file=${tarPath}`, `--directory=${stage}`, ...ownership, '.'], { signal });
  await rm(stage, { recursive: true });
}

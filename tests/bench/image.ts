/**
 * `image build --force --no-gate`, against the least that makes the same content: mmdebstrap, npm install and mkfs, with the
 * same packages, options and caches, one after the other. Both find their Debian packages in a cache: that of this host's
 * last build, or one filled before.
 */
import { cp, mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { homePaths } from '@airlock/contract/home';
import { AppError } from '@airlock/contract/errors';
import { run } from '@airlock/contract/process';
import { networkOptions, readAptSources, sourcesFor } from '@airlock/image-builder/apt-sources';
import { mmdebstrapArguments } from '@airlock/image-builder/bootstrap';
import { buildImage } from '@airlock/image-builder/build';
import { npmEnvironment } from '@airlock/contract/environment';
import { debCacheOf, keepDebs, openDebCache, type DebCache } from '@airlock/image-builder/deb-cache';
import { npmSpec } from '@airlock/image-builder/cli';
import { description } from '@airlock/image-builder/description';
import { projectClis } from '@airlock/image-builder/inputs';
import {
  isRoot,
  makeWorkspace,
  removeFolder,
  searchPath,
  workspacePath,
  type Workspace,
} from '@airlock/image-builder/workspace';
import { imageHome } from '../support/home.js';
import { alternate, figureOf, type Context, type Figure } from './figure.js';
import { timed } from './link.js';

interface Step {
  title: string;
  seconds: number;
}

export async function benchImage({ runs, signal, say }: Context): Promise<Figure[]> {
  const seconds = (name: string, work: () => Promise<unknown>) => async (): Promise<number> => {
    say(`  ${name} …`);
    const taken = (await timed(work)) / 1000;
    say(`  ${name}: ${taken.toFixed(1)} s`);
    return taken;
  };
  if (!isRoot)
    throw new AppError('host_unsupported', 'Only root can make the bare form without more work than it measures.');
  const home = await mkdtemp('/var/tmp/airlock-b-');
  const cache = debCacheOf(homePaths(home).images.folder);
  const steps: Step[][] = [];
  try {
    if (!(await copyCache(home))) {
      say('  filling the cache of packages …');
      await makeBare(cache, signal);
    }
    const [bare, ours] = await alternate(
      runs ?? 1,
      signal,
      seconds('mmdebstrap, npm install, mkfs', () => makeBare(cache, signal)),
      seconds('image build', async () => steps.push(await build(home, signal))),
    );
    return [
      figureOf({
        name: 'image.build',
        unit: 's',
        goal: { atMost: 1.3 },
        baseline: { what: 'mmdebstrap, npm install and mkfs of the same content, with the same caches', samples: bare },
        airlock: {
          what: 'image build --force --no-gate: the same, and units, initrd, checks, manifest',
          samples: ours,
        },
        details: { steps },
      }),
    ];
  } finally {
    await rm(home, { recursive: true });
  }
}

/** False when this host has built nothing yet. */
async function copyCache(home: string): Promise<boolean> {
  try {
    await cp(homePaths(imageHome()).aptCache, homePaths(home).aptCache, { recursive: true });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** One build that is kept nowhere. Returns what the builder said about its steps. */
async function build(home: string, signal: AbortSignal): Promise<Step[]> {
  const imagesFolder = homePaths(home).images.folder;
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  await buildImage({ imagesFolder, force: true, clis: { from: 'pins' }, browser: null, gate: null, signal, write });
  await rm(imagesFolder, { recursive: true });
  return parseSteps(lines);
}

/** Titles and seconds from lines such as `[3/8] Title` and `[3/8]   done in 12.3 s`. */
function parseSteps(lines: readonly string[]): Step[] {
  let title = '';
  return lines.flatMap((line) => {
    title = /^\[\d+\/\d+\] (\S.*)$/.exec(line)?.[1] ?? title;
    const seconds = /^\[\d+\/\d+\] {3}done in ([\d.]+) s/.exec(line)?.[1];
    return seconds === undefined ? [] : [{ title, seconds: Number(seconds) }];
  });
}

/** What anybody would write in three lines; the packages it used are kept for the next. */
async function makeBare(debCache: DebCache, signal: AbortSignal): Promise<void> {
  const workspace = await makeWorkspace(workspacePath(`bench-${process.pid}`));
  try {
    await openDebCache(debCache);
    await bareRoot(workspace, debCache, signal);
    const { clis } = await projectClis();
    const packages = clis.map((cli) => `${cli.package}@${npmSpec(cli)}`);
    const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--engine-strict=false', '--prefer-offline'];
    await run('npm', ['install', '--global', `--prefix=${join(workspace.root, 'usr/local')}`, ...flags, ...packages], {
      cwd: workspace.stage,
      env: npmEnvironment(),
      cleanEnv: true,
      signal,
    });
    const target = await open(join(workspace.path, 'rootfs.ext4'), 'wx');
    await target.truncate(description.rootfs.sizeMib * 1024 * 1024);
    await target.close();
    const mkfs = ['-q', '-F', '-E', 'nodiscard', '-d', workspace.root, join(workspace.path, 'rootfs.ext4')];
    await run('mkfs.ext4', mkfs, { env: { PATH: searchPath }, signal });
    await keepDebs(debCache);
  } finally {
    await removeFolder(workspace.path);
  }
}

/** The builder's own mmdebstrap, without what it does inside the root. */
async function bareRoot(workspace: Workspace, debCache: DebCache, signal: AbortSignal): Promise<void> {
  const sources = sourcesFor(description.suite, readAptSources());
  const aptOptions = join(workspace.path, 'apt.conf');
  const { stdout } = await run('apt-config', ['dump'], { signal });
  await writeFile(aptOptions, networkOptions(stdout).join('\n'), { mode: 0o600 });
  const plan = { description, workspace, stageTar: '', debCache, chrome: false };
  const bare = mmdebstrapArguments(plan, aptOptions).filter(
    (arg) => !arg.startsWith('--customize-hook=') || arg.includes(debCache.fresh),
  );
  await run('setpriv', ['--pdeathsig=TERM', 'mmdebstrap', ...bare], {
    input: `${sources.join('\n')}\n`,
    env: { PATH: searchPath, TMPDIR: workspace.path, INITRD: 'No' },
    signal,
  });
}

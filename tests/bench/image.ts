/** `image build --force` into an empty AIRLOCK_HOME, against a bare mmdebstrap with the same packages, mirror and options. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@airlock/contract/process';
import { networkOptions, readAptSources, sourcesFor } from '@airlock/image-builder/apt-sources';
import { mmdebstrapArguments } from '@airlock/image-builder/bootstrap';
import { buildImage } from '@airlock/image-builder/build';
import { description } from '@airlock/image-builder/description';
import { makeWorkspace, removeFolder, searchPath, workspacePath } from '@airlock/image-builder/workspace';
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
  const steps: Step[][] = [];
  const [bare, ours] = await alternate(
    runs ?? 1,
    signal,
    seconds('bare mmdebstrap', async () => bootstrap(signal)),
    seconds('image build', async () => steps.push(await build(signal))),
  );
  return [
    figureOf({
      name: 'image.build',
      unit: 's',
      goal: null,
      baseline: { what: `mmdebstrap of the same ${description.packages.length} packages`, samples: bare },
      airlock: { what: 'image build --force: the same, and CLIs, initrd, checks, file system', samples: ours },
      details: { steps },
    }),
  ];
}

/** One build in a home of its own, which is removed. Returns what the builder said about its steps. */
async function build(signal: AbortSignal): Promise<Step[]> {
  const home = await mkdtemp('/var/tmp/airlock-b-');
  const lines: string[] = [];
  try {
    await buildImage({ imagesDir: join(home, 'images'), force: true, signal, write: (line) => void lines.push(line) });
    return parseSteps(lines);
  } finally {
    await rm(home, { recursive: true });
  }
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

/** The builder's own mmdebstrap, without what it does inside the root. */
async function bootstrap(signal: AbortSignal): Promise<void> {
  const workspace = await makeWorkspace(workspacePath(`bench-${process.pid}`));
  try {
    const sources = sourcesFor(description.suite, await readAptSources());
    const aptOptions = join(workspace.path, 'apt.conf');
    const { stdout } = await run('apt-config', ['dump'], { signal });
    await writeFile(aptOptions, networkOptions(stdout).join('\n'), { mode: 0o600 });
    const args = mmdebstrapArguments(description, workspace, '', aptOptions);
    const bare = args.filter((arg) => !arg.startsWith('--customize-hook='));
    await run('setpriv', ['--pdeathsig=TERM', 'mmdebstrap', ...bare], {
      input: `${sources.join('\n')}\n`,
      env: { PATH: searchPath, TMPDIR: workspace.path },
      signal,
    });
  } finally {
    await removeFolder(workspace.path);
  }
}

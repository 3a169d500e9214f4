/**
 * `npm run canary`: do the newest published CLIs still sign in? Makes a scratch image of them and runs the end-to-end sign-ins
 * with it; the image in use is not touched. What all of them did is written to AIRLOCK_HOME, where the controller finds it.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildIfStale, checkNode, installNpmPackages, root } from './checkout.mjs';
import { installHostPackages } from './host-packages.mjs';
import { must, readArgs, Stop } from './run.mjs';

const builder = (file) => join(root, 'packages/image-builder/dist', file);
const vitest = join(root, 'node_modules/vitest/vitest.mjs');

const help = `Usage: npm run canary -- [CLI …]

Builds a scratch image of the newest published CLIs and Debian packages, runs the end-to-end sign-ins with it (of all providers,
or of those that are named: codex, claude_code, gemini_cli) and removes it again. The image in use is not touched. Says of each
CLI whether it signs in, and why it is not the latest of npm's registry where it is not. What a run of all providers found is
shown to administrators on the dashboard.

  --help  show this text
`;

/** Throws a Stop when the image cannot be built or the sign-ins cannot be run. @returns the image's manifest and vitest's report */
async function trySignIns(scratch, named) {
  const env = { ...process.env, AIRLOCK_HOME: scratch };
  await must([process.execPath, builder('main.js'), 'build', '--refresh'], { cwd: root, env });
  const report = join(scratch, 'report.json');
  const reporters = ['--reporter=verbose', '--reporter=json', `--outputFile.json=${report}`];
  const only = named.length > 0 ? ['-t', `^(${named.join('|')}) `] : [];
  const options = ['run', '--project', 'e2e', ...reporters, ...only];
  await must([process.execPath, vitest, ...options], { cwd: root, env, okCodes: [0, 1] });
  if (!existsSync(report)) throw new Stop('The sign-ins could not be run.', 'The reason is above.', 1);
  const read = (path) => JSON.parse(readFileSync(path, 'utf8'));
  const { homePaths } = await import('@airlock/contract/home');
  return { manifest: read(join(homePaths(scratch).images.current, 'manifest.json')), report: read(report) };
}

/** Leaves the report of a run of all providers in AIRLOCK_HOME. */
async function tell(named, problem, clis) {
  if (named.length > 0) return;
  const [{ readSettings }, { writeCanaryReport }] = await Promise.all([
    import('@airlock/contract/settings'),
    import('@airlock/contract/canary-file'),
  ]);
  await writeCanaryReport(readSettings().AIRLOCK_HOME, { at: new Date().toISOString(), problem, clis });
}

await Stop.guard(async () => {
  checkNode();
  const asked = readArgs(process.argv.slice(2), { help, words: true });
  if (!asked) return;
  await installHostPackages(['run', 'test']);
  await installNpmPackages();
  await buildIfStale();
  // Only now: they are there once the checkout is installed and built.
  const { verdict, untried, lineOf, isContent } = await import('./canary-verdict.mjs');
  const { findLatest } = await import(pathToFileURL(builder('latest.js')).href);
  const latest = await findLatest(AbortSignal.timeout(300_000));
  const named = asked.positionals;
  const unknown = named.filter((id) => !(id in latest));
  if (unknown.length > 0)
    throw new Stop(`There is no CLI ${unknown.join(', ')}: choose of ${Object.keys(latest).join(', ')}.`);
  // Beside the usual home, because an image needs room that a small /tmp may not have; short, because of unix sockets.
  const scratch = mkdtempSync(join(process.env.AIRLOCK_HOME ? tmpdir() : homedir(), '.airlock-canary-'));
  try {
    const { manifest, report } = await trySignIns(scratch, named).catch(async (error) => {
      if (error instanceof Stop)
        await tell(named, 'No image of the newest CLIs could be built and started.', untried(latest));
      throw error;
    });
    const judged = verdict(manifest.clis, report, { latest, node: manifest.versions.node });
    await tell(named, null, judged);
    console.log(`\nThe newest published CLIs:\n${judged.map((one) => `  ${lineOf(one)}`).join('\n')}`);
    if (!isContent(judged)) throw new Stop('Not all of them sign in: stay with the versions in use.', '', 1);
    console.log('`npx airlock image build --refresh` takes them into use.');
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
});

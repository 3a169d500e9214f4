/**
 * `npm run canary`: do the newest published CLIs still sign in? Makes a scratch image of them and runs the end-to-end sign-ins
 * with it; the image in use is not touched.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildIfStale, checkNode, installNpmPackages, root } from './checkout.mjs';
import { verdict } from './canary-verdict.mjs';
import { installHostPackages } from './host-packages.mjs';
import { must, readArgs, Stop } from './run.mjs';

const builder = join(root, 'packages/image-builder/dist/main.js');
const vitest = join(root, 'node_modules/vitest/vitest.mjs');

const help = `Usage: npm run canary -- [part of a file name …]

Builds a scratch image of the newest published CLIs and Debian packages, runs the end-to-end sign-ins with it (of all providers,
or of those whose test file, such as codex-sign-in, is named) and removes it again. The image in use is not touched.

  --help  show this text
`;

await Stop.guard(async () => {
  checkNode();
  const asked = readArgs(process.argv.slice(2), { help, words: true });
  if (!asked) return;
  await installHostPackages(['run', 'test']);
  await installNpmPackages();
  await buildIfStale();
  // Beside the usual home, because an image needs room that a small /tmp may not have; short, because of unix sockets.
  const home = mkdtempSync(join(process.env.AIRLOCK_HOME ? tmpdir() : homedir(), '.airlock-canary-'));
  const env = { ...process.env, AIRLOCK_HOME: home };
  try {
    await must([process.execPath, builder, 'build', '--refresh'], { cwd: root, env });
    const report = join(home, 'report.json');
    const reporters = ['--reporter=verbose', '--reporter=json', `--outputFile.json=${report}`];
    const options = ['run', '--project', 'e2e', ...reporters, ...asked.positionals];
    await must([process.execPath, vitest, ...options], { cwd: root, env, okCodes: [0, 1] });
    if (!existsSync(report)) throw new Stop('The sign-ins could not be run.', 'The reason is above.', 1);
    // Only now: it is there once the checkout is built.
    const { homePaths } = await import('@airlock/contract/home');
    const manifest = join(homePaths(home).images.current, 'manifest.json');
    const { clis } = JSON.parse(readFileSync(manifest, 'utf8'));
    const { lines, ok } = verdict(clis, JSON.parse(readFileSync(report, 'utf8')));
    console.log(`\nThe newest published CLIs:\n${lines.map((line) => `  ${line}`).join('\n')}`);
    if (!ok) throw new Stop('Not all of them sign in: stay with the versions in use.', '', 1);
    console.log('`npx airlock image build --refresh` takes them into use.');
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});

/**
 * `npm run test:upgrade`: an upgrade from a commit to this checkout, with everything real but the internet. Makes the older version
 * in a folder of its own, its image too, and removes both again.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildIfStale, checkNode, installNpmPackages, root } from '../checkout.mjs';
import { installHostPackages } from '../host-packages.mjs';
import { must, readArgs, Stop } from '../run.mjs';

const help = `Usage: npm run test:upgrade -- --from COMMIT [--checkout FOLDER] [--image-home FOLDER]

Makes two users with a CLI VM and a credential each by the version of COMMIT, leaves one VM running and one stopped, and lets the
controller of this checkout take over: the running VM is adopted, the stopped one starts from its old disk, kernel and agent, the
CLI accepts the credential in both, and the older version's backup brings everything back when the vault key is lost. Prints what
was shown, with its time. Takes some ten minutes, and twice that where image and checkout are made first.

  --from        the older version, as git names it
  --checkout    a checkout of COMMIT that is built already, instead of making one
  --image-home  AIRLOCK_HOME with the golden image that COMMIT made, instead of building one
  --help        show this text
`;

const results = [];

function tell(what, seconds) {
  results.push({ what, seconds });
  console.log(`ok ${seconds.toFixed(1).padStart(8)} s  ${what}`);
}

/** Does one thing and tells how long it took. */
async function timed(what, work) {
  const started = performance.now();
  await work();
  tell(what, (performance.now() - started) / 1000);
}

async function prepare() {
  checkNode();
  await installHostPackages(['run', 'test']);
  await installNpmPackages();
  await buildIfStale();
  await must([process.execPath, join(root, 'node_modules/typescript/bin/tsc'), '-b', 'tests'], { cwd: root });
}

async function makeCheckout(commit, to) {
  await must(['git', 'clone', '--quiet', '--no-checkout', root, to]);
  await must(['git', 'checkout', '--quiet', commit], { cwd: to });
  await must(['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: to });
  await must(['npm', 'run', '--silent', 'build'], { cwd: to });
}

const makeImage = (checkout, home) =>
  must([process.execPath, join(checkout, 'packages/image-builder/dist/main.js'), 'build'], {
    cwd: checkout,
    env: { ...process.env, AIRLOCK_HOME: home },
  });

async function upgradeFrom(commit, { checkout, 'image-home': imageHome }) {
  // Not in /tmp: an image may be larger than what is there.
  const folder = await mkdtemp('/var/tmp/airlock-upgrade-');
  try {
    const older = checkout ? resolve(checkout) : join(folder, 'checkout');
    if (!checkout) await timed(`a checkout of ${commit} is built`, () => makeCheckout(commit, older));
    const images = imageHome ? resolve(imageHome) : join(folder, 'home');
    if (!imageHome) await timed('its golden image is built', () => makeImage(older, images));
    const { homePaths } = await import('@airlock/contract/home');
    const { runUpgrade } = await import(pathToFileURL(join(root, 'tests/dist/upgrade/upgrade.js')).href);
    const oldProgram = join(older, 'packages/controller/dist/main.js');
    await runUpgrade({ oldProgram, images: homePaths(images).images.folder, tell });
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function main() {
  const text = { type: 'string' };
  const asked = readArgs(process.argv.slice(2), { help, options: { from: text, checkout: text, 'image-home': text } });
  if (!asked) return;
  const { from } = asked.values;
  if (!from) throw new Stop('--from COMMIT is missing.', `\n${help}`);
  await prepare();
  try {
    await upgradeFrom(from, asked.values);
    console.log(`\n${results.length} passed, 0 failed, 0 skipped`);
  } catch (error) {
    console.error(error);
    console.log(`\n${results.length} passed, 1 failed, 0 skipped`);
    process.exitCode = 1;
  }
}

await Stop.guard(main);

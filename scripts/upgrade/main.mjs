/**
 * `npm run test:upgrade`: an upgrade from a commit to this checkout, with everything real but the internet. Makes the older version
 * in a folder of its own, its image too, and removes both again.
 */
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildIfStale, checkNode, installNpmPackages, root } from '../checkout.mjs';
import { installHostPackages } from '../host-packages.mjs';
import { must, readArgs, Stop } from '../run.mjs';

const help = `Usage: npm run test:upgrade -- --from COMMIT [--checkout FOLDER] [--image-home FOLDER]

Makes two persons with a CLI VM, files and three logins each by the version of COMMIT, leaves one VM running and one stopped, and lets
the controller of this checkout take over: the running VM is adopted; where the newer image does not boot, the stopped one comes up as
it was; where it does, both get a root of it under the same home, the one at its next start, the other by an update, and the CLIs
accept their logins. Neither needs the older image then. The older version's backup brings everything back when the vault key is
lost. Prints what was shown, with its time. Takes some fifteen minutes, and more where checkout and images are made first.

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
  const { homePaths } = await import('@airlock/contract/home');
  const built = (name) => import(pathToFileURL(join(root, 'tests/dist', name)).href);
  const [{ runUpgrade }, support] = await Promise.all([built('upgrade/upgrade.js'), built('support/home.js')]);
  const currentOf = (home) => realpath(homePaths(home).images.current);
  // Not in /tmp: an image may be larger than what is there.
  const folder = await mkdtemp('/var/tmp/airlock-upgrade-');
  try {
    const older = checkout ? resolve(checkout) : join(folder, 'checkout');
    if (!checkout) await timed(`a checkout of ${commit} is built`, () => makeCheckout(commit, older));
    const home = imageHome ? resolve(imageHome) : join(folder, 'home');
    if (!imageHome) await timed('its golden image is built', () => makeImage(older, home));
    await timed('the golden image of this checkout is current', () => makeImage(root, support.imageHome()));
    const images = { older: await currentOf(home), newer: await currentOf(support.imageHome()) };
    await runUpgrade({ oldProgram: join(older, 'packages/controller/dist/main.js'), images, tell });
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

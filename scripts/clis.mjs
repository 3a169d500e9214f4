/**
 * `npm run clis`: writes packages/image-builder/clis.lock.json, which pins the coding CLIs of this project. Asks npm's registry and
 * nothing else.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildIfStale, checkNode, installNpmPackages, root } from './checkout.mjs';
import { readArgs, Stop } from './run.mjs';

const help = `Usage: npm run clis -- [PROVIDER@X.Y.Z …]

Pins these versions of the providers' CLIs, the newest of a provider that the lock file does not have yet, and leaves the others as
they are. PROVIDER@* takes the newest that runs on this Node.

  --help  show this text
`;

await Stop.guard(async () => {
  checkNode();
  const asked = readArgs(process.argv.slice(2), { help, words: true });
  if (!asked) return;
  await installNpmPackages();
  await buildIfStale();
  const builder = (file) => import(pathToFileURL(join(root, 'packages/image-builder/dist', file)).href);
  const [{ writeProjectLock }, { parseProjectVersions }] = await Promise.all(
    ['project-lock.js', 'pins.js'].map((file) => builder(file)),
  );
  try {
    const stop = new AbortController();
    process.once('SIGINT', () => stop.abort());
    for (const { package: name, version } of await writeProjectLock(
      parseProjectVersions(asked.positionals),
      stop.signal,
    )) {
      console.log(`${name}@${version}`);
    }
  } catch (error) {
    throw new Stop(error.message, error.hint ?? '', 1);
  }
});

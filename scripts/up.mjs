/**
 * `npm run up`: from a fresh clone to a running Airlock. Needs Node and npm, nothing else; the second time it is ready in
 * seconds. What it installs is listed in packages.json. Arguments go on to `airlock up`.
 */
import { buildIfStale, checkNode, installNpmPackages } from './checkout.mjs';
import { installHostPackages } from './host-packages.mjs';
import { Stop } from './run.mjs';

await Stop.guard(async () => {
  checkNode();
  await installHostPackages(['run']);
  await installNpmPackages();
  await buildIfStale();
  // The CLI takes over this very process, so that Ctrl-C and signals reach it directly.
  const main = new URL('../packages/cli/dist/main.js', import.meta.url);
  process.argv = [process.argv[0], main.pathname, 'up', ...process.argv.slice(2)];
  await import(main.href);
});

/**
 * `npm run up`: from a fresh clone to a running Airlock. Needs Node and npm, nothing else; the second time it is ready in
 * seconds. What it installs is listed in packages.json.
 */
import { buildIfStale, checkNode, installNpmPackages } from './checkout.mjs';
import { installHostPackages } from './host-packages.mjs';
import { readArgs, Stop } from './run.mjs';

const help = `Usage: npm run up -- [--stop-vms]

Installs what is missing (npm and Debian packages), builds the golden image if none is current, and runs the controller until
Ctrl-C. Where it may not install Debian packages it prints the exact commands and stops.

  --stop-vms  end all VMs at the end too; by default they stay and the next start adopts them
  --help      show this text

Settings are environment variables; \`npx airlock config\` lists them once this has run.
`;

await Stop.guard(async () => {
  checkNode();
  const asked = readArgs(process.argv.slice(2), { help, options: { 'stop-vms': { type: 'boolean' } } });
  if (!asked) return;
  await installHostPackages(['run']);
  await installNpmPackages();
  await buildIfStale();
  // The CLI takes over this very process, so that Ctrl-C and signals reach it directly.
  const main = new URL('../packages/cli/dist/main.js', import.meta.url);
  process.argv = [process.argv[0], main.pathname, 'up', ...process.argv.slice(2)];
  await import(main.href);
});

/**
 * Brings a checkout to the point where it can run: Node checked, npm packages as in package-lock.json, sources built.
 * Each step looks first and does nothing when nothing changed.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { must, Stop, timed } from './run.mjs';

export const root = fileURLToPath(new URL('..', import.meta.url));
const at = (...parts) => join(root, ...parts);
const buildStamp = at('node_modules', '.airlock-build');

/** True for the versions that package.json's `engines` names: >=20.19 <21 || >=22.12. */
export function nodeIsSupported(version) {
  const [major, minor] = version.split('.').map(Number);
  return (major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major > 22;
}

export function checkNode() {
  if (nodeIsSupported(process.versions.node)) return;
  throw new Stop(`This is Node ${process.versions.node}; Airlock needs 20.19 or newer of Node 20, or 22.12 and newer.`);
}

/**
 * True when what is installed is what the lock file asks for. npm keeps a record of the installed tree in
 * node_modules/.package-lock.json, written last, so an interrupted installation counts as none.
 */
export function installationMatches(lock, installed) {
  const { packages: wanted } = lock;
  const { packages: present } = installed;
  const same = (path) => wanted[path]?.version === present[path].version && wanted[path]?.link === present[path].link;
  const required = ([path, entry]) => path !== '' && !entry.optional && !entry.devOptional && !entry.peer;
  return (
    Object.keys(present).every(same) &&
    Object.entries(wanted)
      .filter(required)
      .every(([path]) => path in present)
  );
}

/** Runs `npm ci` when the installed packages differ from package-lock.json. */
export async function installNpmPackages() {
  const record = at('node_modules', '.package-lock.json');
  const read = (file) => JSON.parse(readFileSync(file, 'utf8'));
  if (existsSync(record) && installationMatches(read(at('package-lock.json')), read(record))) return;
  // No package of the lock needs an install script; older npm would run them in spite of `allowScripts`.
  const argv = ['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund'];
  await timed('Installing npm packages as in package-lock.json', () => must(argv, { cwd: root }));
}

/** Everything a build reads: sources, configuration and the lock, but no test folder and nothing built. */
function sourceFiles() {
  const files = readdirSync(root).filter((name) => /^(package(-lock)?|tsconfig.*)\.json$/.test(name));
  const walk = (folder) => {
    for (const entry of readdirSync(at(folder), { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory() && !/^(node_modules|dist|dist-types)$/.test(entry.name)) walk(path);
      else if (entry.isFile() && !entry.name.endsWith('.tsbuildinfo')) files.push(path);
    }
  };
  walk('packages');
  return files.sort();
}

function sourceHash() {
  const hash = createHash('sha256').update(process.versions.modules);
  for (const file of sourceFiles()) hash.update(`\0${file}\0`).update(readFileSync(at(file)));
  return hash.digest('hex');
}

const isBuilt = (name) => !existsSync(at('packages', name, 'src')) || existsSync(at('packages', name, 'dist'));

/** Builds when a source changed since the last build that succeeded, or when a result was deleted. */
export async function buildIfStale() {
  const hash = sourceHash();
  const built = existsSync(buildStamp) && readFileSync(buildStamp, 'utf8') === hash;
  if (built && readdirSync(at('packages')).every(isBuilt)) return;
  await timed('Building', () => must(['npm', 'run', '--silent', 'build'], { cwd: root }));
  writeFileSync(buildStamp, hash);
}

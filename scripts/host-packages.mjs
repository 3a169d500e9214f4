/**
 * Installs the Debian packages of packages.json that this host lacks, and nothing else: no upgrade of other packages,
 * no recommended ones. Where it may not, it prints the exact commands and gives exit code 2.
 *   node scripts/host-packages.mjs [--print] run test
 */
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { debianSource, hasSuite, readAptSources, sourceStanza } from './apt-sources.mjs';
import { capture, must, Stop, timed } from './run.mjs';

const sourceFile = '/etc/apt/sources.list.d/airlock-backports.sources';
const aptGet = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '--option', 'DPkg::Lock::Timeout=600', '--quiet'];

/** The `debian` part of packages.json. */
export function readPackageList() {
  return JSON.parse(readFileSync(new URL('packages.json', import.meta.url), 'utf8')).debian;
}

function readIfThere(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return '';
    throw error;
  }
}

/** Version of each package that is installed, by name. */
async function installedVersions(names) {
  const { stdout } = await capture(['dpkg-query', '-W', '-f', '${Package} ${db:Status-Abbrev} ${Version}\n', ...names]);
  const rows = stdout.split('\n').map((line) => line.split(/\s+/));
  return new Map(rows.filter(([, status]) => status?.[1] === 'i').map(([name, , version]) => [name, version]));
}

/** The packages of `wanted` that are absent or older than their `minVersion`. */
export async function missingPackages(wanted) {
  if (wanted.length === 0) return [];
  const versions = await installedVersions(wanted.map((entry) => entry.name));
  const missing = [];
  for (const entry of wanted) {
    const version = versions.get(entry.name);
    const compare = ['dpkg', '--compare-versions', version ?? '', 'ge', entry.minVersion ?? ''];
    const enough = version !== undefined && (!entry.minVersion || (await capture(compare)).code === 0);
    if (!enough) missing.push(entry);
  }
  return missing;
}

/**
 * The commands that install `missing`, in order; each may carry text for its standard input. Pure.
 * @param {{codename: string, sources: import('./apt-sources.mjs').AptSource[]}} host
 */
export function planInstall(missing, host) {
  const fromBackports = missing.filter((entry) => entry.backports?.includes(host.codename)).map((entry) => entry.name);
  const plain = missing.map((entry) => entry.name).filter((name) => !fromBackports.includes(name));
  const suite = `${host.codename}-backports`;
  const steps = [];
  if (fromBackports.length > 0 && !hasSuite(host.sources, suite)) {
    const source = debianSource(host.sources, host.codename);
    if (!source) {
      throw new Stop(
        `No apt source of this host serves ${host.codename} main, so ${suite} cannot be derived from one.`,
        `Add a source for ${suite}, then run this again.`,
      );
    }
    steps.push({ argv: ['tee', sourceFile], input: sourceStanza(source, suite) });
    steps.push({ argv: [...aptGet, 'update'] });
  }
  const install = [...aptGet, 'install', '--yes', '--no-install-recommends'];
  if (plain.length > 0) steps.push({ argv: [...install, ...plain] });
  if (fromBackports.length > 0) steps.push({ argv: [...install, '-t', suite, ...fromBackports] });
  return steps;
}

/**
 * The plan as lines for a shell. A machine's package lists may be missing or old, so they are fetched first: these lines have
 * to work at the first try.
 */
export function asShell(steps, prefix) {
  const update = { argv: [...aptGet, 'update'] };
  const all = steps.some(({ argv }) => argv.includes('update')) ? steps : [update, ...steps];
  const quote = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);
  return all
    .map(({ argv, input }) => {
      const line = [...prefix, ...argv].map(quote).join(' ');
      return input === undefined ? line : `${line} <<'EOF'\n${input}EOF`;
    })
    .join('\n');
}

/** What to put before a command: nothing as root, `sudo` where it works or a person can type the password, else null. */
async function privilege() {
  if (process.getuid() === 0) return [];
  if ((await capture(['sudo', '-n', 'true'])).code === 0) return ['sudo', '-n'];
  if (!process.stdin.isTTY || !(await hasSudo())) return null;
  console.log('To install them, sudo may ask for your password.');
  return (await capture(['sudo', '-v'], { stdio: 'inherit' })).code === 0 ? ['sudo'] : null;
}

const hasSudo = async () => (await capture(['sudo', '-V'])).code === 0;

function readCodename() {
  const release = readIfThere('/etc/os-release');
  const field = (name) => new RegExp(`^${name}="?([^"\\n]*)`, 'm').exec(release)?.[1] ?? '';
  return { id: field('ID'), codename: field('VERSION_CODENAME'), name: field('PRETTY_NAME') };
}

/** Runs the plan; package lists that are absent or out of date are fetched once, and only then. */
async function execute(steps, prefix) {
  let updated = false;
  for (const { argv, input } of steps) {
    const command = [...prefix, ...argv];
    if (input !== undefined) await must(command, { input });
    else if (argv.includes('update')) {
      await must(command);
      updated = true;
    } else {
      const dryRun = command.map((word) => (word === '--yes' ? '--simulate' : word));
      const stale = !updated && (await capture(dryRun)).code !== 0;
      if (!stale && (await must(command, { okCodes: updated ? [0] : [0, 100] })) === 0) continue;
      await must([...prefix, ...aptGet, 'update']);
      updated = true;
      await must(command);
    }
  }
}

/**
 * Makes sure that the packages of these groups are installed.
 * @param {string[]} groups of packages.json
 * @param {{print?: boolean}} options print: only say what would be done
 */
export async function installHostPackages(groups, { print = false } = {}) {
  const all = readPackageList();
  const unknown = groups.filter((group) => !(group in all));
  if (unknown.length > 0)
    throw new Stop(`No such package group: ${unknown.join(', ')}.`, `There are ${Object.keys(all).join(', ')}.`);
  const host = readCodename();
  const supported = host.id === 'debian' && ['bookworm', 'trixie'].includes(host.codename);
  if ((await capture(['dpkg-query', '--version'])).code !== 0) {
    throw new Stop(`This is ${host.name || 'not Debian'}; Airlock needs Debian 12 or 13.`);
  }
  const missing = await missingPackages(groups.flatMap((group) => all[group]));
  if (missing.length === 0) return;
  const reasons = missing.map((entry) => `  ${entry.name}: ${entry.why}`).join('\n');
  console.log(`Debian packages to install:\n${reasons}`);
  if (!supported)
    throw new Stop(`This is ${host.name}; packages can only be installed by themselves on Debian 12 or 13.`);
  const steps = planInstall(missing, { codename: host.codename, sources: readAptSources() });
  const prefix = print ? null : await privilege();
  if (prefix === null) {
    const sudo = process.getuid() !== 0 && (await hasSudo());
    throw new Stop(
      'These packages are missing and may not be installed from here.',
      `Run this${sudo ? '' : ' as root'}, then start again:\n\n${asShell(steps, sudo ? ['sudo'] : [])}\n`,
    );
  }
  await timed('Installing Debian packages', () => execute(steps, prefix));
  const still = await missingPackages(missing);
  if (still.length > 0)
    throw new Stop(`apt-get succeeded, but ${still.map((e) => e.name).join(', ')} is still missing or too old.`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const args = process.argv.slice(2);
  const groups = args.filter((arg) => arg !== '--print');
  await Stop.guard(() =>
    installHostPackages(groups.length > 0 ? groups : ['run'], { print: args.includes('--print') }),
  );
}

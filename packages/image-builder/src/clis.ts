/** The coding CLIs: every package of theirs is pinned by a lock file; npm compares what it fetches with its checksums. */
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { z } from 'zod';
import { npmEnvironment } from '@airlock/contract/environment';
import { AppError } from '@airlock/contract/errors';
import { nullIfAbsent } from '@airlock/contract/file';
import { run } from '@airlock/contract/process';
import { installedPackage, lockedCli, npmSpec, type Cli } from './cli.js';

/** The part of npm's lock file that is read here; the rest is npm's own business. */
export const NpmLock = z.looseObject({
  packages: z.record(
    z.string(),
    z.looseObject({
      /** Where it is not the name of the folder. */
      name: z.string().optional(),
      version: z.string().optional(),
      integrity: z.string().optional(),
    }),
  ),
});
export type NpmLock = z.infer<typeof NpmLock>;

/** The CLIs of an image and the lock file that pins what they consist of. */
export interface CliSet {
  clis: readonly Cli[];
  lock: NpmLock;
}

// As a global installation lays them out: nothing is shared between CLIs.
const layout = '--install-strategy=nested';
const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier', '--engine-strict=false'];

/** @throws AppError image_corrupt when a lock file is not one. */
export async function readLock(path: string): Promise<NpmLock> {
  return NpmLock.parse(JSON.parse(await readFile(path, 'utf8')));
}

/**
 * The set with other versions, by CLI id; `*` means the newest that runs on this Node. Asks npm's registry.
 * @throws AppError image_build_failed naming a version that the registry does not have.
 */
export async function resolveClis(
  set: CliSet,
  versions: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<CliSet> {
  const wanted = set.clis.map((cli) => ({ ...cli, version: versions[cli.id] ?? cli.version }));
  const found = await lockFor({ clis: wanted, lock: set.lock }, signal);
  const clis = wanted.map((cli) => lockedCli(found, cli));
  // The lock file also repeats what was asked for, which has to be the versions themselves for `npm ci`.
  return { clis, lock: await lockFor({ clis, lock: found }, signal) };
}

async function lockFor(set: CliSet, signal: AbortSignal): Promise<NpmLock> {
  const folder = await mkdtemp(join(tmpdir(), 'airlock-npm-'));
  try {
    await writeProject(folder, set);
    const flags = ['--package-lock-only', '--omit-lockfile-registry-resolved', layout, ...quiet];
    await npm(['install', ...flags], set.clis, { cwd: folder, signal });
    return await readLock(join(folder, 'package-lock.json'));
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function writeProject(folder: string, { clis, lock }: CliSet): Promise<void> {
  const dependencies = Object.fromEntries(clis.map((cli) => [cli.package, npmSpec(cli)]));
  const project = { name: 'airlock-clis', version: '0.0.0', private: true, dependencies };
  await writeFile(join(folder, 'package.json'), JSON.stringify(project));
  await writeFile(join(folder, 'package-lock.json'), JSON.stringify(lock));
}

/** npm in the folder `cwd`, with the host's own configuration of it. */
async function npm(
  args: string[],
  clis: readonly Cli[],
  at: { cwd: string; signal: AbortSignal; onLine?: (line: string) => void },
): Promise<void> {
  await run('npm', args, { ...at, env: npmEnvironment(), cleanEnv: true }).catch((error: unknown) => {
    throw explain(error, clis);
  });
}

/** npm's own words for a package or a version that is not there, made an answer to what was asked. */
export function explain(error: unknown, clis: readonly Cli[]): unknown {
  if (!(error instanceof AppError) || error.code !== 'command_failed') return error;
  const output = String(error.details?.['lastOutput'] ?? '');
  const missing = /code (ETARGET|E404)/.test(output)
    ? clis.find((cli) =>
        [installedPackage(cli), installedPackage(cli).replace('/', '%2f')].some((name) => output.includes(name)),
      )
    : undefined;
  if (!missing) {
    const options = { cause: error, ...(error.details && { details: error.details }) };
    return new AppError('image_build_failed', `npm could not install the CLIs: ${error.message}`, options);
  }
  const name = installedPackage(missing);
  return new AppError('image_build_failed', `npm's registry has no ${name}@${missing.version}.`, {
    hint: `\`npm view ${name} versions\` lists those that it has.`,
    cause: error,
  });
}

/**
 * Installs the CLIs below `stage`/usr/local with the host's own npm and its configuration. No install script runs. Nothing of
 * the registry's address stays in the tree.
 */
export async function installClis(
  stage: string,
  set: CliSet,
  signal: AbortSignal,
  onLine: (line: string) => void,
): Promise<void> {
  const lib = join(stage, 'usr/local/lib');
  await mkdir(lib, { recursive: true });
  await writeProject(lib, set);
  let damaged: string | undefined;
  const watch = (line: string): void => {
    // A warning to npm, which ends with 0 and leaves the file cut short.
    if (line.includes('TAR_ENTRY_ERROR')) damaged ??= line;
    onLine(line);
  };
  const at = { cwd: lib, signal, onLine: watch };
  await npm(['ci', layout, ...quiet, '--prefer-offline', '--loglevel=http'], set.clis, at);
  if (damaged !== undefined) throw new AppError('image_build_failed', `npm could not unpack the CLIs: ${damaged}`);
  for (const left of ['package.json', 'package-lock.json', 'node_modules/.package-lock.json', 'node_modules/.bin']) {
    await rm(join(lib, left), { recursive: true, force: true });
  }
  for (const cli of set.clis) await finishCli(join(stage, 'usr/local'), cli);
}

const Bins = z.looseObject({ bin: z.union([z.string(), z.record(z.string(), z.string())]) });

/** The file that a package starts as `command`, or undefined. */
async function binOf(folder: string, command: string): Promise<string | undefined> {
  const { bin } = Bins.parse(JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')));
  return typeof bin === 'string' ? bin : bin[command];
}

/** What npm leaves out because its scripts are off and the installation is not a global one: the link in bin. */
export async function finishCli(prefix: string, cli: Cli): Promise<void> {
  const folder = join(prefix, 'lib/node_modules', cli.package);
  const program = cli.native?.file ?? (await binOf(folder, cli.command));
  const isThere =
    program !== undefined && (await stat(join(folder, program)).then((found) => found.isFile(), nullIfAbsent));
  if (!isThere) {
    throw new AppError(
      'image_build_failed',
      `${installedPackage(cli)}@${cli.version} has no program named ${cli.native?.file ?? cli.command}.`,
    );
  }
  const link = join(prefix, 'bin', cli.command);
  await mkdir(dirname(link), { recursive: true });
  await chmod(join(folder, program), 0o755);
  await symlink(relative(dirname(link), join(folder, program)), link);
}

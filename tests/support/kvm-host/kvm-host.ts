/**
 * The test host: a Debian with systemd, control groups of version 2 and a working /dev/kvm, in software, with this checkout, its
 * golden image and the real Firecracker in it. One command runs in it, then it is gone, with all that it wrote but the results.
 */
import { once } from 'node:events';
import { copyFile, mkdir, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { AppError } from '@airlock/contract/errors';
import { nullIfAbsent, replaceFile } from '@airlock/contract/file';
import { homePaths } from '@airlock/contract/home';
import { run, tail } from '@airlock/contract/process';
import { removeFolder, workRoot } from '@airlock/image-builder/workspace';
import { binariesFolder, firecrackerBinaries } from '../firecracker-binaries.js';
import { imageHome } from '../home.js';
import { debianPrefix, draftPrefix, findDebian } from './debian.js';
import { copyFromDisk, labels, makeDisk, readFromDisk } from './disk.js';
import { commandFile, exitCodeFile, runCommand, runFile, sealFile } from './guest.js';
import { ownFolder, removeLeftovers } from './leftovers.js';
import { machineArguments, type Machine } from './machine.js';

// This file is run both from tests/support and, compiled, from tests/dist/support.
const here = fileURLToPath(import.meta.url);
const checkout = here.slice(0, here.lastIndexOf('/tests/'));
const runPrefix = 'airlock-kvm-';

export interface KvmHostRun {
  /** A program and its arguments, found as in the checkout's folder with node_modules/.bin on the path. */
  command: readonly string[];
  /** After that many the host is ended, whatever it does. */
  minutes: number;
  /** Folder that takes what the command left in $TEST_RESULTS, and the host's console; nowhere by default. */
  results?: string;
  /** Each line of the command, and what is done before. */
  onLine: (line: string) => void;
  signal: AbortSignal;
}

/** @returns the command's exit code. @throws Error with the last lines of the console when the host ended before the command did */
export async function runInKvmHost(options: KvmHostRun): Promise<number> {
  const { signal, onLine } = options;
  const cache = homePaths(imageHome()).testCache;
  await mkdir(cache, { recursive: true, mode: 0o700 });
  await removeAllLeftovers(cache);
  const debian = await findDebian({ cache, checkout, note: onLine }, signal);
  const images = await findImageDisk(cache, onLine, signal);
  await firecrackerBinaries();
  // Not in /tmp, which may be memory: a checkout and all that a run writes.
  const folder = await ownFolder(workRoot, runPrefix);
  try {
    const results = join(folder, 'results.ext4');
    const seal = images.replace(/ext4$/, sealFile);
    const disks = await makeDisks(folder, options, await readFile(seal).catch(nullIfAbsent));
    const machine: Machine = {
      ...debian,
      ...{ console: join(folder, 'console'), output: join(folder, 'output.sock') },
      disks: [{ path: images, access: 'scratch' }, ...disks, { path: results, access: 'kept' }],
    };
    await power(machine, folder, options);
    const code = (await readFromDisk(results, exitCodeFile)).trim();
    const sealed = await readFromDisk(results, sealFile);
    if (sealed !== '') await replaceFile(seal, sealed, { durable: false });
    if (options.results !== undefined) await keepResults(machine, results, options.results);
    if (/^\d+$/.test(code)) return Number(code);
    throw new Error(`The test host ended before its command did.\n${await lastWords(machine)}`);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function removeAllLeftovers(cache: string): Promise<void> {
  const remove = (path: string): Promise<void> => rm(path, { recursive: true });
  await removeLeftovers(cache, draftPrefix, remove);
  await removeLeftovers(workRoot, runPrefix, remove);
  await removeLeftovers(workRoot, debianPrefix, removeFolder);
}

/** What each run has its own of: checkout, programs, results. */
async function makeDisks(
  folder: string,
  { command, signal }: KvmHostRun,
  seal: Buffer | null,
): Promise<Machine['disks']> {
  const input = join(folder, 'input');
  await mkdir(input);
  await writeFile(join(input, runFile), runCommand);
  await writeFile(join(input, commandFile), `${command.map(quote).join(' ')}\n`);
  if (seal) await writeFile(join(input, sealFile), seal);
  const contents = [
    { name: 'project', label: labels.project, folder: checkout, sizeMib: 8192 },
    { name: 'programs', label: labels.programs, folder: binariesFolder(), sizeMib: 32 },
    { name: 'results', label: labels.results, folder: input, sizeMib: 2048 },
  ];
  const path = (name: string): string => join(folder, `${name}.ext4`);
  await Promise.all(contents.map(({ name, ...content }) => makeDisk(path(name), content, signal)));
  return ['project', 'programs'].map((name) => ({ path: path(name), access: 'readonly' as const }));
}

/** A word of a shell. */
const quote = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

/** The current golden image as a disk, made once for each image. */
async function findImageDisk(cache: string, note: KvmHostRun['onLine'], signal: AbortSignal): Promise<string> {
  const image = await realpath(homePaths(imageHome()).images.current);
  const id = basename(image);
  const path = join(cache, `${id}.ext4`);
  if ((await readdir(cache)).includes(basename(path))) return path;
  note(`Writing the golden image ${id} to a disk, once …`);
  const stage = await ownFolder(cache, draftPrefix);
  try {
    const inStage = homePaths(stage).images;
    await mkdir(inStage.folder);
    await run('cp', ['-a', '--sparse=always', image, inStage.folder], { signal });
    await symlink(id, inStage.current);
    await makeDisk(path, { label: labels.images, folder: inStage.folder, sizeMib: 12_288 }, signal);
    const old = (await readdir(cache)).filter((name) => name.startsWith('img_') && name !== basename(path));
    await Promise.all(old.map((name) => rm(join(cache, name))));
  } finally {
    await rm(stage, { recursive: true });
  }
  return path;
}

/** Runs the machine until it powers itself off, and passes on what it says. It ends with this process, too. */
async function power(machine: Machine, folder: string, { minutes, onLine, signal }: KvmHostRun): Promise<void> {
  const words = ['--pdeathsig', 'KILL', '--', 'qemu-system-x86_64', ...machineArguments(machine)];
  const output = await listen(machine.output, onLine);
  try {
    await run('setpriv', words, { cwd: folder, env: { TMPDIR: folder }, timeoutMs: minutes * 60_000, signal });
  } catch (cause) {
    const { message } = AppError.inItsWords(cause);
    throw new Error(`The test host was ended: ${message}\n${await lastWords(machine)}`, { cause });
  } finally {
    await output.ended();
  }
}

/** Takes lines from a unix socket; `ended` waits for the last one, once nobody writes any more. */
async function listen(path: string, onLine: KvmHostRun['onLine']): Promise<{ ended(): Promise<void> }> {
  const server = createServer((socket) => createInterface({ input: socket }).on('line', onLine));
  await once(server.listen(path), 'listening');
  return {
    async ended() {
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}

async function lastWords(machine: Machine): Promise<string> {
  return `Its console:\n${tail(await readFile(machine.console, 'latin1').catch(() => ''), 25)}`;
}

async function keepResults({ console: log }: Machine, disk: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  await copyFile(log, join(to, 'console.log'));
  await copyFromDisk(disk, to);
  for (const name of [commandFile, exitCodeFile, runFile, sealFile]) await rm(join(to, name), { force: true });
}

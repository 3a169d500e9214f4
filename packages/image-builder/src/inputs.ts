/** Everything that an image is made from, and the hash over it: when it is the current image's, there is nothing to build. */
import { createHash } from 'node:crypto';
import { lstat, mkdir, readFile, readdir, readlink, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { AppError } from '@airlock/contract/errors';
import { checkScript, checksFor } from './check/check.js';
import type { Check } from './check/shell.js';
import type { PinnedBrowser } from './chrome.js';
import { clisOf } from './cli.js';
import { readLock, type CliSet } from './clis.js';
import { leftOutScript } from './left-out.js';
import { description, type Description } from './description.js';
import { applyPins, type Pins } from './pins.js';

export interface InputEntry {
  path: string;
  type: 'file' | 'program' | 'link';
  content: Buffer;
}

export interface Inputs extends CliSet {
  sha256: string;
  description: Description;
  /** Takes the place of Chromium. */
  browser: PinnedBrowser | null;
  guest: InputEntry[];
  scripts: InputEntry[];
  agent: InputEntry;
  agentVersion: string;
  /** Names of the VMMs' drivers that the initrd and the agent know. */
  drivers: string[];
  checks: Check[];
}

const program = (path: string, text: string): InputEntry => ({ path, type: 'program', content: Buffer.from(text) });
const fromPackage = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** Pins the CLIs of this project; `npm run clis` writes it. */
export const projectLock = fromPackage('clis.lock.json');

/** The CLIs of this project, before anybody chose other versions. */
export async function projectClis(): Promise<CliSet> {
  const lock = await readLock(projectLock);
  return { clis: clisOf(lock), lock };
}

/** Everything that goes into an image. @throws AppError image_build_failed when the agent has not been built. */
export async function readInputs(set: CliSet, browser: Inputs['browser']): Promise<Inputs> {
  const [guest, chroot, agent, agentPackage] = await Promise.all([
    readTree(fromPackage('guest')),
    readTree(fromPackage('chroot')),
    readAgent(fromPackage('../guest-agent/dist/agent.cjs')),
    readFile(fromPackage('../guest-agent/package.json'), 'utf8'),
  ]);
  const checks = checksFor(set.clis, browser);
  const scripts = [
    ...chroot,
    program('check.sh', checkScript(checks)),
    program('slim-clis.sh', leftOutScript(set.clis)),
  ];
  const drivers = z.array(z.string()).parse(JSON.parse(await readFile(fromPackage('chroot/drivers.json'), 'utf8')));
  const { version } = JSON.parse(agentPackage) as { version: string };
  const sha256 = hashInputs({ ...description, clis: set.clis, browser, lock: set.lock }, [...guest, ...scripts, agent]);
  return { ...set, sha256, description, browser, guest, scripts, agent, agentVersion: version, drivers, checks };
}

/** The inputs that `build` without options takes: versions of the project, or those that this home has pinned. */
export async function plainInputs(pins: Pins | null): Promise<Inputs> {
  return readInputs(applyPins(await projectClis(), pins), null);
}

/** Files and links below `root`, sorted by path. Of the mode only "executable" counts: the rest depends on the umask. */
export async function readTree(root: string): Promise<InputEntry[]> {
  const names = (await readdir(root, { recursive: true })).sort();
  const entries = await Promise.all(
    names.map(async (path): Promise<InputEntry | null> => {
      const full = join(root, path);
      const info = await lstat(full);
      if (info.isDirectory()) return null;
      if (info.isSymbolicLink()) return { path, type: 'link', content: Buffer.from(await readlink(full)) };
      return { path, type: (info.mode & 0o100) === 0 ? 'file' : 'program', content: await readFile(full) };
    }),
  );
  return entries.filter((entry) => entry !== null);
}

/** The agent's bundle as an entry. @throws AppError image_build_failed when it has not been built. */
export async function readAgent(path: string): Promise<InputEntry> {
  const content = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOENT') throw cause;
    throw new AppError('image_build_failed', `The agent that goes into the image is missing: there is no ${path}.`, {
      hint: 'Run `npm run build` first.',
      cause,
    });
  });
  return { path: 'agent.cjs', type: 'file', content };
}

/** SHA-256 over `description` (as JSON) and the entries, in their order; lower-case hex. */
export function hashInputs(description: unknown, entries: readonly InputEntry[]): string {
  const hash = createHash('sha256').update(JSON.stringify(description));
  for (const { path, type, content } of entries) {
    hash.update(`\0${path}\0${type}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

/** Writes an entry below `root`. */
export async function writeEntry(root: string, { path, type, content }: InputEntry): Promise<void> {
  const target = join(root, path);
  await mkdir(dirname(target), { recursive: true });
  if (type === 'link') await symlink(content.toString(), target);
  else await writeFile(target, content, { mode: type === 'program' ? 0o755 : 0o644 });
}

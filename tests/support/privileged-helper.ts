/** A privileged helper of the test's own: one connection to it, by its standard input and output. Needs root. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { firecrackerBinaries } from './firecracker-binaries.js';
import { until } from './poll.js';

// This file is run both from tests/support and, compiled, from tests/dist/support.
const here = fileURLToPath(import.meta.url);
export const helperMain = join(here.slice(0, here.lastIndexOf('/tests/')), 'packages/privileged-helper/dist/main.js');

/** Who relays run as. */
export const relayUser = 65534;

/** Why it cannot be tried here, or null. */
export const helperSkip = (): string | null =>
  process.getuid?.() === 0 ? null : 'network namespaces of other users can only be made by root';

export interface HelperConnection {
  pid: number;
  /** Sends a request, or any line, and waits for the answer. */
  ask(request: object | string): Promise<unknown>;
  /** Ends the connection, and waits until the helper has ended. */
  close(): Promise<number | null>;
  /** Resolves with the exit code, or null when it was killed. */
  exited: Promise<number | null>;
}

/** `run`: where it keeps what it makes. `without`: path of a program that is not to be on its host. */
export function startHelper(
  run: string,
  { without, programs = 'none' }: { without?: string; programs?: string } = {},
): HelperConnection {
  const user = ['--user', `${relayUser}:${relayUser}`, '--programs', programs];
  const command = [process.execPath, helperMain, 'serve', ...user, '--run', run];
  const hide = ['unshare', '--mount', 'sh', '-c', 'mount --bind /dev/null "$0" && exec "$@"'];
  const [file = '', ...args] = without === undefined ? command : [...hide, without, ...command];
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  const answers = createInterface(child.stdout)[Symbol.asyncIterator]();
  child.stdin.on('error', () => child.stdin.destroy());
  return {
    pid: child.pid ?? 0,
    exited,
    async ask(request) {
      child.stdin.write(`${typeof request === 'string' ? request : JSON.stringify(request)}\n`);
      const { value, done } = await answers.next();
      if (done === true) throw new Error('the helper ended without an answer');
      return JSON.parse(value) as unknown;
    },
    async close() {
      child.stdin.end();
      return await exited;
    },
  };
}

export interface ListeningHelper {
  socket: string;
  /** Folder of what it makes. */
  run: string;
  /** The processes that serve a VM each. */
  serving(): Promise<number[]>;
  /** Has what killed ones have left given back. */
  sweep(): Promise<void>;
  /** Ends it; what belongs to VMs ends with their runners. */
  close(): Promise<void>;
}

/**
 * A helper for the runners of this user's, whose home is the folder `home`, as is their folder in memory; with another one, another Firecracker
 * or range of ids than usual.
 */
export async function listenAsHelper(
  home: string,
  { memory = home, firecracker, ids = '70000-70099' }: { memory?: string; firecracker?: string; ids?: string } = {},
): Promise<ListeningHelper> {
  const run = await mkdtemp('/run/airlock-d');
  const socket = join(home, `${basename(run)}.sock`);
  const programs = ['qemu-system-x86_64', firecracker ?? (await firecrackerBinaries()).firecracker];
  const user = ['--user', `${process.getuid?.()}:${process.getgid?.()}`, '--ids', ids];
  const places = ['--home', home, '--memory', memory, '--run', run, '--socket', socket];
  const command = [helperMain, 'listen', ...user, '--programs', programs.join(','), ...places];
  // Under cgroups of version 2 it needs a part of the tree of its own, as its unit gives it one.
  const isVersion2 = await access('/sys/fs/cgroup/cgroup.controllers').then(
    () => true,
    () => false,
  );
  const scope = isVersion2 ? ['systemd-run', '--scope', '--quiet', '--collect', '--property=Delegate=yes', '--'] : [];
  const [file = '', ...args] = [...scope, process.execPath, ...command];
  const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const exited = once(child, 'exit');
  const patience = { timeoutMs: 60_000, intervalMs: 20 };
  await until(
    'the helper to listen',
    async () =>
      access(socket).then(
        () => true,
        () => false,
      ),
    patience,
  );
  return {
    socket,
    run,
    async sweep() {
      const sweeping = spawn(process.execPath, command.with(1, 'sweep'), { stdio: ['ignore', 'ignore', 'inherit'] });
      await once(sweeping, 'exit');
    },
    async serving() {
      const children = await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8');
      return children.trim().split(' ').filter(Boolean).map(Number);
    },
    async close() {
      // Its children are still giving back what ended runners had.
      const isEmpty = async (): Promise<boolean> => (await readdir(run)).every((name) => name === 'ids');
      await until('everything of the VMs to be given back', isEmpty, patience);
      child.kill();
      await exited;
      await rm(run, { recursive: true });
    },
  };
}

/**
 * One Firecracker process in a folder of its own below the VM's folder, where it finds everything under the names of `places`: links to
 * files of the host, pipes for what it says, its socket. All of it is gone when the process is. A jail is another `StartProcess`.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { constants, open as openFile } from 'node:fs';
import { access, mkdir, open, rm, symlink } from 'node:fs/promises';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { AppError } from '@airlock/contract/errors';
import { identifyProcess, killExactly, run } from '@airlock/contract/process';
import type { ProcessIdentity } from '@airlock/contract/runner';
import { places, type TapDevice } from './setup.js';

export interface ProcessOptions {
  /** Absolute path of the program. */
  program: string;
  arguments: readonly string[];
  /** Absolute path of the VM folder. */
  folder: string;
  /** Absolute paths, by the name under which the VMM finds the file. */
  files: ReadonlyMap<string, string>;
  tap: TapDevice;
  /** What the guest writes on its console; what the VMM says; its counters, a JSON object a line. */
  onSerial: (chunk: Buffer) => void;
  onMessage: (chunk: Buffer) => void;
  onMetrics: (chunk: Buffer) => void;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface VmmProcess {
  readonly identity: ProcessIdentity;
  /** Path of the API's socket on the host. */
  readonly socketPath: string;
  /** Resolves when the process is gone, its output was read, and its folder removed; never rejects. */
  readonly exited: Promise<Exit>;
  /** Puts another file of the host under a name. It may not be there yet: then the VMM can make it. */
  place(name: string, path: string): Promise<void>;
  kill(): Promise<void>;
}

/** @throws AppError vmm_missing, vmm_failed; then nothing is left */
export type StartProcess = (options: ProcessOptions) => Promise<VmmProcess>;

/** Name of the VMM's folder in the VM's. */
const workFolder = 'fc';

/** Starts it as this user, which has to be root, in the network namespace of its tap; it dies with this process. */
export const startProcess: StartProcess = async (options) => {
  const work = join(options.folder, workFolder);
  requireShort(join(work, places.api));
  await requireNamespace(options.tap);
  const place = async (name: string, path: string): Promise<void> => {
    await rm(join(work, name), { force: true });
    await symlink(path, join(work, name));
  };
  // What a runner that was killed left.
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { mode: 0o700 });
  const pipes: Pipe[] = [];
  try {
    for (const [name, path] of options.files) await place(name, path);
    await run('mkfifo', ['--mode=0600', places.log, places.metrics, places.serial], { cwd: work, timeoutMs: 10_000 });
    pipes.push(await readPipe(join(work, places.log), options.onMessage));
    pipes.push(await readPipe(join(work, places.metrics), options.onMetrics));
    pipes.push(await readPipe(join(work, places.serial), options.onSerial));
    const child = spawnIn(work, options);
    const gone = waitForExit(child);
    await waitForSpawn(child);
    const identity = await identityOf(child, gone);
    const exited = gone.then(async (exit) => {
      await leave(work, pipes).catch((error: unknown) => tell(options, error));
      return exit;
    });
    const kill = async (): Promise<void> => {
      await killExactly(identity);
      await exited;
    };
    return { identity, socketPath: join(work, places.api), exited, place, kill };
  } catch (error) {
    await leave(work, pipes);
    throw error;
  }
};

/** Bytes of a path that a unix socket can have (unix(7)). */
const maxSocketPath = 107;

function requireShort(path: string): void {
  const length = Buffer.byteLength(path);
  if (length <= maxSocketPath) return;
  throw new AppError(
    'path_too_long',
    `The socket ${path} would have a path of ${length} bytes; the kernel allows ${maxSocketPath}.`,
    {
      hint: 'Set AIRLOCK_HOME to a shorter path.',
    },
  );
}

async function requireNamespace({ namespace }: TapDevice): Promise<void> {
  await access(namespacePath(namespace)).catch((cause: unknown) => {
    throw new AppError('vmm_failed', `The network namespace "${namespace}" of the VM is not there.`, { cause });
  });
}

function tell({ onMessage }: ProcessOptions, error: unknown): void {
  onMessage(Buffer.from(`${AppError.from(error).message}\n`));
}

function spawnIn(work: string, { program, arguments: words, tap, onSerial, onMessage }: ProcessOptions): ChildProcess {
  // Each of these becomes the next one: the process that is spawned is the VMM in the end.
  const enter = [
    '--no-new-privs',
    '--pdeathsig',
    'KILL',
    '--',
    'nsenter',
    `--net=${namespacePath(tap.namespace)}`,
    '--',
  ];
  const child = spawn('setpriv', [...enter, program, ...words], {
    cwd: work,
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.on('data', onSerial);
  child.stderr.on('data', onMessage);
  return child;
}

const namespacePath = (name: string): string => join('/run/netns', name);

/** A reader that hears nothing of who comes and goes until it is closed. */
interface Pipe {
  close(): Promise<void>;
}

/** Not a file: what the VMM, and through it a guest, writes must not fill a disk. Nor a socket: it is opened by its name. */
async function readPipe(path: string, onData: (chunk: Buffer) => void): Promise<Pipe> {
  // A writer of our own: the pipe does not end before it is closed, whether the VMM has opened it or not.
  const writer = await open(path, constants.O_RDWR | constants.O_NONBLOCK);
  const reader = await openReader(path).catch(async (error: unknown) => {
    await writer.close();
    throw error;
  });
  reader.on('data', onData);
  const ended = once(reader, 'close');
  return {
    async close() {
      await writer.close();
      await ended;
    },
  };
}

async function openReader(path: string): Promise<Socket> {
  // The bare number: a FileHandle would close it a second time.
  const fd = await promisify(openFile)(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return new Socket({ fd, readable: true, writable: false });
}

async function leave(work: string, pipes: readonly Pipe[]): Promise<void> {
  await Promise.all(pipes.map((pipe) => pipe.close()));
  await rm(work, { recursive: true, force: true });
}

async function waitForSpawn(child: ChildProcess): Promise<void> {
  try {
    await once(child, 'spawn');
  } catch (error) {
    throw new AppError('vmm_missing', 'setpriv could not be started; it makes the VMM end together with its runner.', {
      hint: 'Install the package util-linux.',
      cause: error,
    });
  }
}

async function identityOf({ pid }: ChildProcess, gone: Promise<Exit>): Promise<ProcessIdentity> {
  const identity = pid === undefined ? null : await identifyProcess(pid);
  if (identity) return identity;
  await gone;
  throw new AppError('vmm_failed', 'The VMM ended before it could be seen.');
}

function waitForExit(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }));
    child.once('error', () => resolve({ code: null, signal: null }));
  });
}

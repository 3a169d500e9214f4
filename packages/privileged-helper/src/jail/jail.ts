/** One VMM, locked up: its descriptors, its start, what it says, its end. Leaves nothing behind after `close`. */
import { spawn, type ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import { readFile, stat } from 'node:fs/promises';
import { Duplex, type Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { inTime } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import { nullIfAbsent } from '@airlock/contract/file';
import { jailDescriptors, jailPlaces, type JailRequest } from '@airlock/contract/privileged';
import { identifyProcess, systemPath, tail } from '@airlock/contract/process';
import type { ProcessIdentity } from '@airlock/contract/runner';
import type { HelperConfig } from '../config.js';
import { namespacePath } from '../network/slot.js';
import { enterCgroups, makeCgroups, removeCgroups } from './cgroup.js';
import { chrootBase, connectApi, makePlaces, type Pipe } from './chroot.js';
import { chrootCommand, jailCommand, type Bind } from './command.js';
import { inodeOf, lend, openFiles, type OwnFile } from './files.js';
import { requireProgram } from './program.js';

const setpriv = '/usr/bin/setpriv';
/** Milliseconds until the VMM itself begins. */
const startMs = 20_000;
const pollMs = 2;
const Info = z.looseObject({ 'child-pid': z.int().positive() });

export interface JailEvents {
  /** Called for each chunk; nothing more is read until it resolves, so that whoever does not listen costs no memory. */
  output(stream: 'console' | 'messages' | 'metrics' | 'monitor', chunk: Buffer): Promise<void>;
  exit(code: number | null, signal: string | null): void;
}

export interface Jail {
  identity: ProcessIdentity;
  monitor(data: Buffer): void;
  /** Ends the VMM and waits for it. Idempotent. */
  close(): Promise<void>;
}

/** What the jail of a VM is made of, for as long as it takes. */
interface Making {
  config: HelperConfig;
  vmId: string;
  /** The folder of what is made for the VM. */
  base: string;
  /** Of the VMM: nobody else has it now. */
  uid: number;
  request: JailRequest;
  events: JailEvents;
}

/** @throws AppError vmm_missing, vmm_unsuitable, cgroup_unavailable, vmm_failed, invalid_request: nothing is left */
export async function startJail(making: Making): Promise<Jail> {
  const { config, vmId, request } = making;
  const program = await requireProgram(config.programs, request);
  const release = (): Promise<void> => removeCgroups(vmId);
  try {
    const cgroups = await makeCgroups(vmId, request);
    const files = await openFiles(config, vmId, request.files);
    try {
      const spawned = await (request.names ? spawnInChroot : spawnWithDescriptors)(making, program, files);
      return await running(spawned, cgroups, making.events, release);
    } finally {
      await Promise.all(files.map(({ handle }) => handle.close()));
    }
  } catch (error) {
    await release();
    throw error;
  }
}

/** A child that waits to be let on. */
interface Spawned {
  child: ChildProcess;
  /** Where it tells its pid, and what it waits for. */
  info: Duplex;
  block: Duplex;
  /** Once it runs. */
  monitor: (pid: number, ended: Promise<never>) => Promise<Duplex>;
  pipes: readonly Pipe[];
}

async function spawnWithDescriptors(
  { vmId, uid, request }: Making,
  program: string,
  files: readonly OwnFile[],
): Promise<Spawned> {
  const kvmGroup = request.kvm ? ((await stat('/dev/kvm').catch(nullIfAbsent))?.gid ?? null) : null;
  const infoFd = jailDescriptors.firstFile + files.length;
  const options = { uid, kvmGroup, namespace: namespacePath(vmId), program, args: request.arguments, setpriv };
  const own = files.map(({ handle }) => handle.fd);
  // The place of the TAP is taken by the command itself.
  const child = spawnAs(jailCommand({ ...options, infoFd, blockFd: infoFd + 1 }), ['pipe', 'ignore', ...own]);
  const monitor = pipeOf(child, jailDescriptors.monitor);
  const [info, block] = [pipeOf(child, infoFd), pipeOf(child, infoFd + 1)];
  return { child, info, block, monitor: () => Promise.resolve(monitor), pipes: [] };
}

async function spawnInChroot(
  { vmId, base, uid, request }: Making,
  program: string,
  files: readonly OwnFile[],
): Promise<Spawned> {
  const pipes = await makePlaces(base, uid);
  try {
    const binds: Bind[] = pipes.map(({ says, path, inode }) => ({ name: jailPlaces[says], path, write: true, inode }));
    for (const [index, file] of files.entries()) {
      await lend(file, uid);
      const [name = ''] = request.names?.slice(index) ?? [];
      binds.push({ name, path: file.path, write: file.write, inode: await inodeOf(file.handle) });
    }
    const options = { vmId, uid, namespace: namespacePath(vmId), program, args: request.arguments };
    const command = chrootCommand({ ...options, base: chrootBase(base), binds, infoFd: 3, blockFd: 4 });
    const child = spawnAs(command, []);
    return { child, info: pipeOf(child, 3), block: pipeOf(child, 4), monitor: connectApi, pipes };
  } catch (error) {
    await Promise.all(pipes.map((pipe) => pipe.close()));
    throw error;
  }
}

/** `own`: descriptors from 3 on, before those that the command itself uses. */
function spawnAs([file = '', ...args]: readonly string[], own: readonly (number | 'pipe' | 'ignore')[]): ChildProcess {
  const stdio = ['pipe' as const, 'pipe' as const, 'pipe' as const, ...own, 'pipe' as const, 'pipe' as const];
  return spawn(file, args, { cwd: '/', env: { PATH: systemPath() }, stdio });
}

function pipeOf({ stdio }: ChildProcess, fd: number): Duplex {
  const pipe: unknown = stdio[fd];
  if (!(pipe instanceof Duplex)) throw new AppError('internal', `Descriptor ${fd} of a VMM is no pipe.`);
  return pipe.on('error', () => pipe.destroy());
}

async function running(
  { child, info, block, monitor: connectMonitor, pipes }: Spawned,
  cgroups: readonly string[],
  events: JailEvents,
  release: () => Promise<void>,
): Promise<Jail> {
  const closed = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('close', () => resolve());
  });
  const gone = closed.then(async () => void (await Promise.all(pipes.map((pipe) => pipe.close()))));
  child.stdin?.on('error', () => child.stdin?.destroy());
  const heard: Promise<void>[] = [];
  const hear = (
    says: Parameters<JailEvents['output']>[0],
    from: Readable | null,
    note?: (chunk: Buffer) => void,
  ): void => {
    const told = from && pass(from, (chunk) => (note?.(chunk), events.output(says, chunk)));
    if (told) heard.push(told.catch(() => void child.kill('SIGKILL')));
  };
  let messages = '';
  hear('console', child.stdout);
  hear('messages', child.stderr, (chunk) => (messages = (messages + chunk.toString('latin1')).slice(-2000)));
  for (const { says, reader } of pipes) hear(says, reader);
  const end = async (): Promise<void> => {
    child.kill('SIGKILL');
    await gone;
    await release();
  };
  let ending: Promise<void> | undefined;
  const close = (): Promise<void> => (ending ??= end());
  try {
    const ended = gone.then(() => Promise.reject(notStarted(messages)));
    const begin = async (): Promise<Omit<Jail, 'close' | 'monitor'> & { monitor: Duplex }> => {
      const first = await firstProcess(info);
      await enterCgroups(cgroups, first);
      block.end('x');
      const identity = await programOf(first, ended);
      return { identity, monitor: await connectMonitor(identity.pid, ended) };
    };
    const { identity, monitor } = await inTime(Promise.race([begin(), ended]), startMs, () => notStarted(messages));
    monitor.on('error', () => monitor.destroy());
    hear('monitor', monitor);
    gone
      .then(() => Promise.all(heard))
      .then(() => events.exit(...exitOf(child)))
      .catch(() => undefined);
    return { identity, monitor: (data) => void monitor.write(data), close };
  } catch (error) {
    child.kill('SIGKILL');
    await gone;
    throw error;
  }
}

/** Signals that end a program from outside, or by its own fault. A program has codes of its own where the others would be. */
const endings = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGILL',
  'SIGTRAP',
  'SIGABRT',
  'SIGBUS',
  'SIGFPE',
  'SIGKILL',
  'SIGSEGV',
  'SIGPIPE',
  'SIGTERM',
  'SIGSYS',
] as const;

/** A program that a signal has ended is reported as a shell does, by the one around it. */
function exitOf({ exitCode, signalCode }: ChildProcess): [code: number | null, signal: string | null] {
  const signal = endings.find((name) => 128 + constants.signals[name] === exitCode);
  return signal === undefined ? [exitCode, signalCode] : [null, signal];
}

/** Until the end of the stream; a pipe that breaks, as when the program is killed, has ended. */
async function pass(from: Readable, to: (chunk: Buffer) => Promise<void>): Promise<void> {
  try {
    for await (const chunk of from) if (Buffer.isBuffer(chunk)) await to(chunk);
  } catch (error) {
    if (!['ECONNRESET', 'EPIPE'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

/** The pid of the first process in the VMM's namespace of processes, which waits until its cgroups are made. */
async function firstProcess(info: Readable): Promise<number> {
  let told = '';
  for await (const chunk of info.iterator({ destroyOnReturn: false })) {
    told += String(chunk);
    if (told.trimEnd().endsWith('}')) break;
  }
  return Info.parse(JSON.parse(told))['child-pid'];
}

/** What the first process starts becomes the VMM. Nothing tells that it has: it is looked for. */
async function programOf(first: number, ended: Promise<never>): Promise<ProcessIdentity> {
  for (;;) {
    const children = await readFile(`/proc/${first}/task/${first}/children`, 'utf8').catch(nullIfGone);
    if (children === null) return await ended;
    const pid = Number.parseInt(children, 10);
    const identity = pid > 0 ? await identifyProcess(pid) : null;
    if (identity) return identity;
    await pause(pollMs);
  }
}

/** A process that ends while its file is read. */
const nullIfGone = (error: NodeJS.ErrnoException): null => (error.code === 'ESRCH' ? null : nullIfAbsent(error));

const notStarted = (messages: string): AppError =>
  new AppError('vmm_failed', `The VMM could not be locked up: ${tail(messages, 3) || 'it said nothing'}`, {
    hint: 'It takes the packages bubblewrap, perl-base and util-linux; `npx airlock doctor` looks at them.',
  });

/** One VMM, locked up: its descriptors, its start, what it says, its end. Leaves nothing behind after `close`. */
import { spawn, type ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { readFile, stat, type FileHandle } from 'node:fs/promises';
import { Duplex, type Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { inTime } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import { nullIfAbsent } from '@airlock/contract/file';
import { jailDescriptors, type JailRequest } from '@airlock/contract/privileged';
import { identifyProcess, systemPath, tail } from '@airlock/contract/process';
import type { ProcessIdentity } from '@airlock/contract/runner';
import type { HelperConfig } from '../config.js';
import { namespacePath } from '../network/slot.js';
import { enterCgroups, makeCgroups, removeCgroups } from './cgroup.js';
import { jailCommand } from './command.js';
import { openFiles } from './files.js';
import { giveBackId, takeId } from './ids.js';

const setpriv = '/usr/bin/setpriv';
/** Milliseconds until the VMM itself begins. */
const startMs = 20_000;
const pollMs = 2;
const Info = z.looseObject({ 'child-pid': z.int().positive() });

export interface JailEvents {
  /** Called for each chunk; nothing more is read until it resolves, so that whoever does not listen costs no memory. */
  output(stream: 'console' | 'messages' | 'monitor', chunk: Buffer): Promise<void>;
  exit(code: number | null, signal: string | null): void;
}

export interface Jail {
  identity: ProcessIdentity;
  monitor(data: Buffer): void;
  /** Ends the VMM and waits for it. Idempotent. */
  close(): Promise<void>;
}

/** @throws AppError vm_ids_exhausted, cgroup_unavailable, vmm_failed, invalid_request: nothing is left */
export async function startJail(
  config: HelperConfig,
  vmId: string,
  request: JailRequest,
  events: JailEvents,
): Promise<Jail> {
  if (!config.programs.includes(request.program)) {
    throw new AppError('invalid_request', `${request.program} is not among the programs that this helper starts.`, {
      hint: 'They are named in its unit: --programs.',
    });
  }
  const uid = await takeId(config.run, config.ids);
  const release = async (): Promise<void> => {
    await removeCgroups(vmId);
    await giveBackId(config.run, uid);
  };
  try {
    const cgroups = await makeCgroups(vmId, request);
    const files = await openFiles(config, vmId, request.files);
    try {
      const child = await spawnJail({ vmId, uid, request, files });
      return await running(child, cgroups, events, release);
    } finally {
      await Promise.all(files.map((file) => file.close()));
    }
  } catch (error) {
    await release();
    throw error;
  }
}

interface Spawn {
  vmId: string;
  uid: number;
  request: JailRequest;
  files: readonly FileHandle[];
}

async function spawnJail({ vmId, uid, request, files }: Spawn): Promise<ChildProcess> {
  const { program, kvm } = request;
  const kvmGroup = kvm ? ((await stat('/dev/kvm').catch(nullIfAbsent))?.gid ?? null) : null;
  const infoFd = jailDescriptors.firstFile + files.length;
  const options = { uid, kvmGroup, namespace: namespacePath(vmId), args: request.arguments, setpriv };
  const [file = '', ...args] = jailCommand({
    ...options,
    program: join('/usr/bin', program),
    infoFd,
    blockFd: infoFd + 1,
  });
  const own = files.map(({ fd }) => fd);
  return spawn(file, args, {
    cwd: '/',
    env: { PATH: systemPath() },
    // The place of the TAP is taken by the command itself.
    stdio: ['pipe', 'pipe', 'pipe', 'pipe', 'ignore', ...own, 'pipe', 'pipe'],
  });
}

async function running(
  child: ChildProcess,
  cgroups: readonly string[],
  events: JailEvents,
  release: () => Promise<void>,
): Promise<Jail> {
  const gone = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('close', () => resolve());
  });
  const pipes = child.stdio.slice(3).filter((one) => one instanceof Duplex) as Duplex[];
  const [monitor, info, block] = [pipes.at(0), pipes.at(-2), pipes.at(-1)];
  if (!monitor || !info || !block || !child.stdout || !child.stderr)
    throw new AppError('internal', 'A VMM without pipes.');
  for (const pipe of [monitor, info, block, child.stdin]) pipe?.on('error', () => pipe.destroy());
  let messages = '';
  const told = Promise.all([
    pass(child.stdout, (chunk) => events.output('console', chunk)),
    pass(child.stderr, (chunk) => {
      messages = (messages + chunk.toString('latin1')).slice(-2000);
      return events.output('messages', chunk);
    }),
    pass(monitor, (chunk) => events.output('monitor', chunk)),
  ]);
  const end = async (): Promise<void> => {
    child.kill('SIGKILL');
    await gone;
    await release();
  };
  // Once: the id that it gives back may be another's the next moment.
  let ending: Promise<void> | undefined;
  const close = (): Promise<void> => (ending ??= end());
  let identity: ProcessIdentity;
  try {
    const ended = gone.then(() => Promise.reject(notStarted(messages)));
    const begin = async (): Promise<ProcessIdentity> => {
      const first = await firstProcess(info);
      await enterCgroups(cgroups, first);
      block.end('x');
      return await programOf(first, ended);
    };
    identity = await inTime(Promise.race([begin(), ended]), startMs, () => notStarted(messages));
  } catch (error) {
    child.kill('SIGKILL');
    await gone;
    throw error;
  }
  const exited = gone.then(() => told).then(() => events.exit(...exitOf(child)));
  exited.catch(() => child.kill('SIGKILL'));
  return { identity, monitor: (data) => void monitor.write(data), close };
}

/** A program that a signal has ended is reported as a shell does, by the one around it. */
function exitOf({ exitCode, signalCode }: ChildProcess): [code: number | null, signal: string | null] {
  const signal = Object.entries(constants.signals).find(([, number]) => 128 + number === exitCode)?.[0];
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

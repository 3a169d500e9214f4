/** Running a program to its end: always in its own process group, so that a timeout or abort leaves no grandchild. */
import { readFile } from 'node:fs/promises';
import { execa } from 'execa';
import { AppError } from './errors.js';
import type { ProcessIdentity } from './runner.js';

export interface RunOptions {
  cwd?: string;
  /** Added to the environment of this process. */
  env?: Record<string, string | undefined>;
  /** The whole environment instead. */
  cleanEnv?: boolean;
  input?: string | Uint8Array;
  /** Milliseconds; none by default. */
  timeoutMs?: number;
  signal?: AbortSignal;
  /** Exit codes that are not errors; [0] by default. */
  okCodes?: readonly number[];
  /** Called with each line of standard output and standard error as it comes. */
  onLine?: (line: string) => void;
}

export interface RunResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/**
 * Runs `file` with `args` (never through a shell; never put a secret in them, they are visible to every user).
 * @throws AppError command_failed with the last lines of output, or aborted.
 */
export async function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  options.signal?.throwIfAborted();
  const child = execa(file, args, {
    ...(options.cwd && { cwd: options.cwd }),
    ...(options.env && { env: options.env }),
    extendEnv: options.cleanEnv !== true,
    ...(options.input === undefined ? { stdin: 'ignore' } : { input: options.input }),
    detached: true,
    reject: false,
    stripFinalNewline: false,
    maxBuffer: 64 * 1024 * 1024,
  });
  let ended: 'timeout' | 'abort' | undefined;
  const end = (why: 'timeout' | 'abort'): void => {
    ended ??= why;
    if (child.pid !== undefined) killGroup(child.pid);
  };
  const onAbort = (): void => end('abort');
  const timer = options.timeoutMs === undefined ? undefined : setTimeout(() => end('timeout'), options.timeoutMs);
  options.signal?.addEventListener('abort', onAbort, { once: true });
  const { onLine } = options;
  const told = Promise.all(onLine ? [forEachLine(child.stdout, onLine), forEachLine(child.stderr, onLine)] : []);
  try {
    const [result] = await Promise.all([child, told]);
    const stdout = String(result.stdout ?? '');
    const stderr = String(result.stderr ?? '');
    if (ended !== undefined || !(options.okCodes ?? [0]).includes(result.exitCode ?? -1)) {
      throw failure(file, ended, options.timeoutMs, { ...result, output: stderr || stdout });
    }
    return { exitCode: result.exitCode ?? 0, stdout, stderr };
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', onAbort);
  }
}

interface Ended {
  exitCode?: number | undefined;
  code?: string | undefined;
  signal?: string | undefined;
  output: string;
}

function failure(
  file: string,
  ended: 'timeout' | 'abort' | undefined,
  timeoutMs: number | undefined,
  result: Ended,
): AppError {
  if (ended === 'abort') return new AppError('aborted', `${file} was stopped because the operation was cancelled.`);
  const details = { lastOutput: tail(result.output), exitCode: result.exitCode ?? null, signal: result.signal ?? null };
  const failed = (what: string): AppError => new AppError('command_failed', `${file} ${what}`, { details });
  if (ended === 'timeout') return failed(`did not end within ${timeoutMs} ms.`);
  if (result.code === 'ENOENT' || result.code === 'EACCES') return noSuchProgram(file, result.code);
  if (result.exitCode === undefined) return failed(`ended by ${result.signal ?? result.code ?? 'an unknown cause'}.`);
  return failed(`ended with exit code ${result.exitCode}: ${tail(result.output, 3)}`);
}

/** Whether `run` failed because there is no such program for this user. */
export const isNotInstalled = (error: unknown): boolean =>
  error instanceof AppError && error.details?.['notInstalled'] !== undefined;

/** EACCES is also said where a folder of the path is closed to this user, and no other one has the program. */
function noSuchProgram(file: string, code: 'ENOENT' | 'EACCES'): AppError {
  const what = code === 'ENOENT' ? 'is not installed.' : 'is not installed where this user may run it.';
  return new AppError('command_failed', `${file} ${what}`, { details: { notInstalled: file } });
}

/** Ends a process group that this process started. A group that is already gone is fine. */
export function killGroup(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** The search path with the folders where Debian has programs of the system, such as mkfs.ext4, which are not on every user's. */
export const systemPath = (): string => [process.env['PATH'] ?? '', '/usr/local/sbin', '/usr/sbin', '/sbin'].join(':');

/** The last `lines` lines of a text, without trailing white space. */
export function tail(text: string, lines = 20): string {
  return text.trimEnd().split('\n').slice(-lines).join('\n');
}

async function forEachLine(stream: AsyncIterable<unknown> | null, onLine: (line: string) => void): Promise<void> {
  if (!stream) return;
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + String(chunk)).split(/\r?\n|\r/);
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  }
  if (rest) onLine(rest);
}

/** What identifies a running process for certain, or null when there is none with this pid. */
export async function identifyProcess(pid: number): Promise<ProcessIdentity | null> {
  const [fields, bootId] = await Promise.all([statOf(pid), readFile('/proc/sys/kernel/random/boot_id', 'utf8')]);
  if (fields === null || fields[0] === 'Z') return null;
  return { pid, startTicks: Number(fields[19]), bootId: bootId.trim() };
}

/** Processor time that a process has had, in ms and steps of 10: Linux counts 100 ticks a second here. Null when there is none. */
export async function processorMs(pid: number): Promise<number | null> {
  const fields = await statOf(pid);
  return fields && (Number(fields[11]) + Number(fields[12])) * 10;
}

/** /proc/<pid>/stat from its third field on; null when there is no such process. */
async function statOf(pid: number): Promise<string[] | null> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // Field 2 is the program's name in parentheses and may hold anything; the rest is counted from behind it.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ESRCH') return null;
    throw error;
  }
}

/** True while the very process that `identity` was taken from is running. */
export async function isRunning(identity: ProcessIdentity): Promise<boolean> {
  const now = await identifyProcess(identity.pid);
  return now !== null && now.startTicks === identity.startTicks && now.bootId === identity.bootId;
}

/** Ends the very process that `identity` was taken from, and nothing else. */
export async function killExactly(identity: ProcessIdentity, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  if (!(await isRunning(identity))) return;
  try {
    process.kill(identity.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Starts a program in a pseudo-terminal as the desktop user, and ends it with everything that it started. */
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { asUser, type UserIds } from '../as-user.js';
import type { Variables } from '../environment.js';
import type { TerminalSize } from './grid.js';

export interface PtyRequest {
  argv: readonly [string, ...string[]];
  env: Variables;
  cwd: string;
  user: UserIds;
  size: TerminalSize;
  onOutput(chunk: string): void;
}

export interface Pty {
  write(text: string): void;
  /** Exit code, or null when a signal ended it. Settles after the last output. */
  ended: Promise<number | null>;
  /** SIGTERM, two seconds later SIGKILL, for the program and all that runs in its terminal; waits for their end. */
  stop(): Promise<void>;
  /** SIGKILL for all of them, at once. */
  kill(): Promise<void>;
}

const graceMs = 2000;

/** Processes of a session; a session's number is the pid of the program that the terminal was made for. */
async function membersOf(session: number): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const stats = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')));
  // After the name in parentheses: state, parent, group, session.
  return pids.filter((_pid, index) => {
    const stat = stats[index] ?? '';
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(fields[3]) === session && fields[0] !== 'Z';
  });
}

async function signalSession(session: number, signal: NodeJS.Signals): Promise<void> {
  for (const pid of await membersOf(session)) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

/** SIGKILL until nobody is left; a process may have started another one between the look and the signal. */
async function emptySession(session: number): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    if ((await membersOf(session)).length === 0) return;
    await signalSession(session, 'SIGKILL');
    await delay(20);
  }
  throw new Error(`Session ${session} has processes that do not end.`);
}

/**
 * Starts the program. A program that does not exist ends at once with an exit code and a word in its output.
 * @throws when there is no pseudo-terminal to be had.
 */
export async function startInPty(request: PtyRequest): Promise<Pty> {
  const { spawn } = await import('@lydell/node-pty');
  const { file, args, cwd } = asUser(request.argv, request.cwd, request.user);
  const { columns: cols, rows } = request.size;
  const child = spawn(file, args, { name: 'xterm-256color', env: { ...request.env }, cwd, cols, rows });
  child.onData(request.onOutput);
  const exited = new Promise<number | null>((resolve) => {
    child.onExit(({ exitCode, signal }) => resolve(signal === undefined || signal === 0 ? exitCode : null));
  });
  // What the program leaves running in its terminal would hold the callback port and the credential files.
  const ended = exited.then(async (exitCode) => {
    await emptySession(child.pid);
    return exitCode;
  });
  const kill = async (): Promise<void> => {
    await signalSession(child.pid, 'SIGKILL');
    await ended;
  };
  return {
    write: (text) => child.write(text),
    ended,
    kill,
    stop: async () => {
      const over = new AbortController();
      const isLate = delay(graceMs, true, { signal: over.signal }).catch(() => false);
      await signalSession(child.pid, 'SIGTERM');
      if (await Promise.race([isLate, ended.then(() => false)])) await signalSession(child.pid, 'SIGKILL');
      over.abort();
      await ended;
    },
  };
}

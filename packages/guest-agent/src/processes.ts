/**
 * Runs programs to their end, each in its own process group, so that none outlives its time limit or the agent.
 * (The contract's `run` is built on execa, whose load time the boot cannot afford.)
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { asUser, type UserIds } from './as-user.js';

export interface RunRequest {
  argv: readonly [string, ...string[]];
  /** The whole environment; nothing is inherited. */
  env: Readonly<Record<string, string>>;
  timeoutMs: number;
  cwd?: string;
  /** Runs as this user, without supplementary groups. */
  user?: UserIds;
  input?: Buffer | string;
}

export interface RunOutcome {
  /** null when a signal ended it, or it could not be started. */
  exitCode: number | null;
  /** Standard output and error as they came; at most `outputLimit` characters, the last ones. */
  output: string;
  timedOut: boolean;
  /** Why it could not be started. */
  startError: NodeJS.ErrnoException | null;
}

export interface Processes {
  run(request: RunRequest): Promise<RunOutcome>;
  /** Ends every running program with its descendants. */
  endAll(): void;
}

/** Characters of output that are kept. */
const outputLimit = 64 * 1024;

/** Sends a signal to a process group. A group that is gone already is fine. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function collect(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text = (text + chunk).slice(-outputLimit);
    });
  }
  return () => text;
}

export function createProcesses(): Processes {
  const groups = new Set<number>();

  function run(request: RunRequest): Promise<RunOutcome> {
    const { file, args, cwd } = asUser(request.argv, request.cwd, request.user);
    const child = spawn(file, args, { cwd, env: { ...request.env }, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
    const output = collect(child);
    const { pid } = child;
    if (pid !== undefined) groups.add(pid);
    // A program that does not read its input ends the pipe; its exit code tells.
    child.stdin.on('error', () => child.stdin.destroy());
    child.stdin.end(request.input);
    return new Promise((resolve) => {
      let timedOut = false;
      const timer = setTimeout(() => {
        timedOut = true;
        if (pid !== undefined) signalGroup(pid, 'SIGKILL');
      }, request.timeoutMs);
      const finish = (exitCode: number | null, startError: NodeJS.ErrnoException | null): void => {
        clearTimeout(timer);
        if (pid !== undefined) groups.delete(pid);
        resolve({ exitCode, output: output(), timedOut, startError });
      };
      child.once('error', (error) => finish(null, error));
      // What it left in the background would keep the pipes open, and must not stay.
      child.once('exit', () => pid !== undefined && signalGroup(pid, 'SIGKILL'));
      child.once('close', (code) => finish(code, null));
    });
  }

  return {
    run,
    endAll: () => {
      for (const pid of groups) signalGroup(pid, 'SIGKILL');
    },
  };
}

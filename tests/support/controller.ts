/** Starts the built controller as a process of its own on a free port, the way `npm run up` does. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { giveEmptyDatabase } from '@airlock/controller/store/testing-database';
import { homePaths } from '@airlock/contract/home';
import { giveHostProbe } from './host-probe.js';
import { patience } from './patience.js';

export interface ControllerOptions {
  /** AIRLOCK_HOME of this controller. */
  home: string;
  /** Further settings; AIRLOCK_ variables of the test's own environment are not passed on. */
  env?: Record<string, string>;
  arguments?: readonly string[];
  /** The script to run; the built controller by default. */
  program?: string;
  /** Until the ready line; 120 s by default, and more on an emulated host. */
  timeoutMs?: number;
}

export interface RunningController {
  /** `http://127.0.0.1:PORT` */
  url: string;
  /** The printed address with its one-time login token, for a browser. */
  loginUrl: string;
  /** Admin token, from `$AIRLOCK_HOME/token`. */
  token: string;
  pid: number;
  /** Everything it has printed so far. */
  log(): string;
  /** Asks it to end and waits for that. Returns its exit code. */
  stop(timeoutMs?: number): Promise<number | null>;
  /** Ends it with SIGKILL, as a crash would. */
  kill9(): Promise<void>;
}

const mainFile = (): string => {
  // This file is run both from tests/support and, compiled, from tests/dist/support.
  const here = fileURLToPath(new URL('.', import.meta.url));
  const root = here.slice(0, here.lastIndexOf('/tests/'));
  return join(root, 'packages/controller/dist/main.js');
};

const keptCharacters = 2_000_000;

/** @throws Error with the log's tail when it ends, or is not ready, before the deadline. Leaves no process then. */
export async function startController(options: ControllerOptions): Promise<RunningController> {
  if (options.program === undefined) await giveHostProbe(options.home);
  const usesDatabase = options.program === undefined && options.env?.['DATABASE_URL'] === undefined;
  if (usesDatabase) await giveEmptyDatabase(options.home);
  const child = spawn(process.execPath, [options.program ?? mainFile(), ...(options.arguments ?? [])], {
    env: {
      ...{ ...inheritedEnv(), AIRLOCK_HOME: options.home, AIRLOCK_PORT: '0' },
      // Tests sign in more often than a person.
      AIRLOCK_USER_SIGN_INS: '1000',
      ...options.env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  const keep = (chunk: Buffer): void => {
    log = (log + chunk.toString()).slice(-keptCharacters);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const exit = new Promise<number | null>((resolve) => child.once('close', resolve));
  const explain = (what: string): Error =>
    new Error(`${what}\n--- its last lines ---\n${log.split('\n').slice(-40).join('\n')}`);
  try {
    const loginUrl = await readyLine(child, exit, options.timeoutMs ?? 120_000 * patience, explain);
    return {
      url: new URL(loginUrl).origin,
      loginUrl,
      token: (await readFile(homePaths(options.home).token, 'utf8')).trim(),
      pid: child.pid ?? 0,
      log: () => log,
      stop: async (timeoutMs = 60_000 * patience) => stop(child, exit, timeoutMs, explain),
      kill9: async () => {
        child.kill('SIGKILL');
        await exit;
      },
    };
  } catch (error) {
    child.kill('SIGKILL');
    await exit;
    throw error;
  }
}

function inheritedEnv(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('AIRLOCK_') && name !== 'DATABASE_URL'),
  );
}

async function readyLine(
  child: ChildProcess,
  exit: Promise<number | null>,
  timeoutMs: number,
  explain: (what: string) => Error,
): Promise<string> {
  return new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => reject(explain(`The controller was not ready within ${timeoutMs} ms.`)), timeoutMs);
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      act();
    };
    child.once('error', (error) => settle(() => reject(error)));
    void exit.then((code) =>
      settle(() => reject(explain(`The controller ended with code ${code} before it was ready.`))),
    );
    if (child.stdout === null) return;
    createInterface({ input: child.stdout }).on('line', (line) => {
      const url = /^Airlock is ready: (\S+)/.exec(line)?.[1];
      if (url !== undefined) settle(() => resolve(url));
    });
  });
}

async function stop(
  child: ChildProcess,
  exit: Promise<number | null>,
  timeoutMs: number,
  explain: (what: string) => Error,
): Promise<number | null> {
  child.kill('SIGTERM');
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  const code = await exit;
  clearTimeout(timer);
  if (late) throw explain(`The controller did not end within ${timeoutMs} ms of SIGTERM and was killed.`);
  return code;
}

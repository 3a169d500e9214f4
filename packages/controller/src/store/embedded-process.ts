/** The parent's side of embedded.ts: starts the process of the embedded database, watches it and ends it. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { AppError } from '@airlock/contract/errors';
import { makePrivateFolder } from '../lib/file.js';
import type { Log } from '../lib/log.js';
import type { EmbeddedMessage } from './embedded.js';

export interface EmbeddedProcess {
  pid: number;
  /** Folder of the socket `.s.PGSQL.5432`: what a PostgreSQL client takes as its host. */
  socketFolder: string;
  /** Closes the database and waits for its process. Idempotent. */
  close(): Promise<void>;
}

// By the package's own name: the compiled program is meant, also when this module runs as TypeScript in a test.
const program = createRequire(import.meta.url).resolve('@airlock/controller/store/embedded');
/** The first start makes a whole database cluster; slow machines need a multiple of the usual 4 to 9 s. */
const startTimeoutMs = 90_000;
const closeTimeoutMs = 3_000;

/**
 * Starts the embedded database in `folder`. `onLost` is called when its process ends without being asked.
 * @throws AppError store_failed
 */
export async function startEmbedded(
  folder: string,
  log: Log,
  onLost: (error: AppError) => void,
): Promise<EmbeddedProcess> {
  await makePrivateFolder(folder);
  const child = fork(program, [join(folder, 'data'), join(folder, '.s.PGSQL.5432'), join(folder, 'lock')], {
    env: { PATH: process.env.PATH },
    execArgv: [],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  if (child.stderr) createInterface(child.stderr).on('line', (line) => log.warn({ line }, 'embedded database'));
  const exited = once(child, 'exit');
  let closing: Promise<void> | undefined;
  try {
    await untilReady(child, folder);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  child.once('exit', (code, signal) => {
    if (closing) return;
    onLost(
      new AppError('store_failed', `The embedded database ended unexpectedly (${signal ?? `exit code ${code}`}).`, {
        hint: 'Start the controller again: what was stored is kept.',
      }),
    );
  });
  return {
    pid: child.pid ?? 0,
    socketFolder: folder,
    close: () => (closing ??= end(child, exited)),
  };
}

async function untilReady(child: ChildProcess, folder: string): Promise<void> {
  const signal = AbortSignal.timeout(startTimeoutMs);
  const reason = await Promise.race([
    once(child, 'message', { signal }).then(([message]: EmbeddedMessage[]) =>
      message && 'failed' in message ? message.failed : undefined,
    ),
    once(child, 'exit', { signal }).then(([code]: unknown[]) => `its process ended with exit code ${String(code)}`),
  ]).catch((error: unknown) =>
    signal.aborted ? `it was not ready after ${startTimeoutMs / 1000} seconds` : String(error),
  );
  if (reason === undefined) return;
  throw new AppError('store_failed', `The embedded database in ${folder} could not be opened: ${reason}.`, {
    hint: 'See the log above. A damaged database can be moved away; users and sign-ins are then made anew.',
  });
}

async function end(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  if (child.connected) child.disconnect();
  const timer = setTimeout(() => child.kill('SIGKILL'), closeTimeoutMs);
  await exited;
  clearTimeout(timer);
}

/** The parent's side of embedded.ts: starts the process of the embedded database, watches it and ends it. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { access, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { AppError } from '@airlock/contract/errors';
import { makePrivateFolder } from '@airlock/contract/file';
import type { Log } from '../lib/log.js';
import type { EmbeddedMessage } from './embedded.js';

export interface EmbeddedProcess {
  pid: number;
  /** Folder of the socket `.s.PGSQL.5432`: what a PostgreSQL client takes as its host. */
  socketFolder: string;
  /** Closes the database and waits for its process; kills it after `withinMs` (3 s by default) and then answers false. */
  close(withinMs?: number): Promise<boolean>;
}

// By the package's own name: the compiled program is meant, also when this module runs as TypeScript in a test.
const program = createRequire(import.meta.url).resolve('@airlock/controller/store/embedded');
/** The first start makes a whole database cluster: 4 to 9 s usually, minutes on a host that is itself emulated. */
const startTimeoutMs = 300_000;
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
  const data = join(folder, 'data');
  if (!(await exists(data))) await makeCluster(folder, data, log);
  return launch(folder, data, log, onLost);
}

/**
 * In a process of its own, because making a cluster takes 500 MB more than serving it and WebAssembly gives no memory back;
 * under another name until it is whole, because a start that is interrupted must not leave half of one.
 */
async function makeCluster(folder: string, data: string, log: Log): Promise<void> {
  const unfinished = `${data}.new`;
  await rm(unfinished, { recursive: true, force: true });
  const maker = await launch(folder, unfinished, log, () => undefined);
  if (!(await maker.close(startTimeoutMs))) {
    throw new AppError('store_failed', `The new database in ${folder} was not finished in time.`, {
      hint: 'Start again when the host is less busy.',
    });
  }
  await rename(unfinished, data);
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

async function launch(
  folder: string,
  data: string,
  log: Log,
  onLost: (error: AppError) => void,
): Promise<EmbeddedProcess> {
  const child = fork(program, [data, join(folder, '.s.PGSQL.5432'), join(folder, 'lock')], {
    env: { PATH: process.env.PATH },
    execArgv: [],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  if (child.stderr) createInterface(child.stderr).on('line', (line) => log.warn({ line }, 'embedded database'));
  const exited = once(child, 'exit');
  let closing: Promise<boolean> | undefined;
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
    close: (withinMs = closeTimeoutMs) => (closing ??= end(child, exited, withinMs)),
  };
}

async function untilReady(child: ChildProcess, folder: string): Promise<void> {
  const signal = AbortSignal.timeout(startTimeoutMs);
  const reason = await Promise.race([
    once(child, 'message', { signal }).then(([message]: EmbeddedMessage[]) =>
      message && 'failed' in message ? message.failed : undefined,
    ),
    once(child, 'exit', { signal }).then(
      ([code, killedBy]: unknown[]) => `its process ended with ${String(killedBy ?? `exit code ${String(code)}`)}`,
    ),
  ]).catch((error: unknown) =>
    signal.aborted ? `it was not ready after ${startTimeoutMs / 1000} seconds` : String(error),
  );
  if (reason === undefined) return;
  throw new AppError('store_failed', `The embedded database in ${folder} could not be opened: ${reason}.`, {
    hint: 'See the log above. A damaged database can be moved away; users and sign-ins are then made anew.',
  });
}

async function end(child: ChildProcess, exited: Promise<unknown>, withinMs: number): Promise<boolean> {
  if (child.connected) child.disconnect();
  const timer = setTimeout(() => child.kill('SIGKILL'), withinMs);
  await exited;
  clearTimeout(timer);
  return child.exitCode === 0;
}

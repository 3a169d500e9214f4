/**
 * The controller as a child in the foreground. It runs in its own process group, so that Ctrl-C reaches this program alone,
 * which then decides in what order things end.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { AppError } from '@airlock/contract/errors';
import { homePaths } from '@airlock/contract/home';
import { killGroup } from '@airlock/contract/process';
import { note } from '../lib/output.js';
import { openBoundedLog } from './bounded-log.js';
import { readControllerLine } from './controller-line.js';

export interface ControllerOptions {
  /** The controller's main file. */
  program: string;
  home: string;
  /** Called with the ready line, which carries a one-time login link and is written to no file. */
  onReady: (line: string) => void;
  /** Asks the controller to end. */
  stop: AbortSignal;
  /** Done once after `stop`, before the controller is told. A failure is shown and does not stop the stopping. */
  beforeStop: () => Promise<void>;
  /** Milliseconds that the controller may take to end. */
  graceMs?: number;
}

/**
 * Runs the controller until it was asked to stop and has ended.
 * @throws AppError command_failed when it ends by itself; its last words have been shown by then.
 */
export async function runController(options: ControllerOptions): Promise<void> {
  const { home, stop, graceMs = 20_000 } = options;
  const logFile = homePaths(home).controllerLog;
  const log = await openBoundedLog(logFile);
  const child = spawn(process.execPath, [options.program], { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const take = (line: string): void => {
    const read = readControllerLine(line);
    if (read.kind === 'ready') {
      options.onReady(read.text);
      return;
    }
    log.write(read.text);
    if (read.shown !== null) note(read.shown);
  };
  createInterface({ input: child.stdout }).on('line', take);
  createInterface({ input: child.stderr }).on('line', take);

  let killTimer: NodeJS.Timeout | undefined;
  const end = async (): Promise<void> => {
    await options.beforeStop().catch((error: unknown) => note(`warning: ${AppError.inItsWords(error).message}`));
    if (child.pid === undefined) return;
    const { pid } = child;
    killGroup(pid, 'SIGTERM');
    killTimer = setTimeout(() => {
      note(`warning: the controller did not end within ${graceMs / 1000} s; it is killed. VMs are not touched.`);
      killGroup(pid, 'SIGKILL');
    }, graceMs);
  };
  const onStop = (): void => {
    end().catch((error: unknown) => note(`warning: ${AppError.inItsWords(error).message}`));
  };
  if (stop.aborted) onStop();
  else stop.addEventListener('abort', onStop, { once: true });
  try {
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    await log.flush();
    if (stop.aborted) return;
    throw new AppError('command_failed', `The controller ended by itself (${signal ?? `exit code ${String(code)}`}).`, {
      hint: `Its last words are above; all of its log is ${logFile}.`,
    });
  } finally {
    clearTimeout(killTimer);
    stop.removeEventListener('abort', onStop);
  }
}

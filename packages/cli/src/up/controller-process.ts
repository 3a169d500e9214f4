/**
 * The controller as a child in the foreground. It runs in its own process group, so that Ctrl-C reaches this program alone,
 * which then decides in what order things end.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { AppError } from '@airlock/contract/errors';
import { killGroup } from '@airlock/contract/process';
import { programs } from '../lib/checkout.js';
import { note, print } from '../lib/output.js';
import { openBoundedLog } from './bounded-log.js';
import { readControllerLine } from './controller-line.js';

export interface ControllerOptions {
  home: string;
  /** Asked for by Ctrl-C or SIGTERM; called once, before the controller is told to end. */
  beforeStop: () => Promise<void>;
  /** Called once the controller has printed its ready line. */
  onReady: () => void;
  program?: string;
}

/** The controller may take this long to close its database. */
const stopGraceMs = 20_000;

/**
 * Runs the controller until it is asked to stop.
 * @throws AppError command_failed when it ends by itself, with its last words.
 */
export async function runController(options: ControllerOptions): Promise<void> {
  const log = await openBoundedLog(join(options.home, 'controller.log'));
  const child = spawn(process.execPath, [options.program ?? programs.controller], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lastWords: string[] = [];
  const take = (line: string): void => {
    const read = readControllerLine(line);
    if (read.kind === 'ready') {
      print(read.text);
      options.onReady();
      return;
    }
    log.write(read.text);
    if (read.shown === null) return;
    note(read.shown);
    lastWords.push(read.shown);
    if (lastWords.length > 10) lastWords.shift();
  };
  createInterface({ input: child.stdout }).on('line', take);
  createInterface({ input: child.stderr }).on('line', take);

  let stopping = false;
  let killTimer: NodeJS.Timeout | undefined;
  const stop = async (): Promise<void> => {
    if (stopping || child.pid === undefined) return;
    stopping = true;
    const { pid } = child;
    await options.beforeStop().catch((error: unknown) => note(`warning: ${AppError.from(error).message}`));
    killGroup(pid, 'SIGTERM');
    killTimer = setTimeout(() => {
      note(`warning: the controller did not end within ${stopGraceMs / 1000} s; it is killed. VMs are not touched.`);
      killGroup(pid, 'SIGKILL');
    }, stopGraceMs);
  };
  const onSignal = (): void => void stop();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  try {
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    await log.flush();
    if (stopping) return;
    throw new AppError('command_failed', `The controller ended by itself (${signal ?? `exit code ${String(code)}`}).`, {
      hint: `Its log is ${join(options.home, 'controller.log')}.`,
      details: { lastOutput: lastWords.join('\n') },
    });
  } finally {
    clearTimeout(killTimer);
    for (const signal of signals) process.off(signal, onSignal);
  }
}

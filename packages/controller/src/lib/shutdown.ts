/** Ending a process in order: one list of steps, run once, each with what is left of a common deadline. */
import { inTime } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import type { Log } from './log.js';

export interface Shutdown {
  /** Registers a step as soon as what it releases exists. Steps run in the reverse order of registration. */
  add(name: string, step: () => Promise<void>): void;
  /** Runs the steps, the first time it is called; every call resolves when they are done. True: all went well in time. */
  run(reason: string): Promise<boolean>;
}

/** `timeoutMs`: for all steps together; one that is late or fails is logged and the next one runs. */
export function createShutdown(log: Log, timeoutMs: number): Shutdown {
  const steps: { name: string; step: () => Promise<void> }[] = [];
  let running: Promise<boolean> | undefined;

  async function runAll(reason: string): Promise<boolean> {
    log.info({ reason }, 'shutting down');
    const deadline = Date.now() + timeoutMs;
    let ok = true;
    for (const { name, step } of steps.toReversed()) {
      try {
        await withDeadline(name, step, deadline);
      } catch (error) {
        ok = false;
        log.error({ err: error, step: name }, 'a step of the shutdown failed');
      }
    }
    return ok;
  }

  return {
    add: (name, step) => void steps.push({ name, step }),
    run: (reason) => (running ??= runAll(reason)),
  };
}

async function withDeadline(name: string, step: () => Promise<void>, deadline: number): Promise<void> {
  const late = (): Error => new AppError('internal', `${name} did not end before the deadline of the shutdown.`);
  await inTime(step(), Math.max(deadline - Date.now(), 100), late);
}

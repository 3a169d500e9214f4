/** What the runner of a VM says, or has last said. */
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { nullIfAbsent } from '@airlock/contract/file';
import { identifyProcess, isRunning, killExactly } from '@airlock/contract/process';
import { RunnerStatus, type ProcessIdentity } from '@airlock/contract/runner';
import { readStatusFile } from '@airlock/contract/status-file';
import { clientOf, type EngineContext } from './context.js';
import type { Engine } from './engine.js';
import { answerMs, pollMs, runnerMain, startTimeoutMs } from './runner.js';

/** See `Engine.status`. */
export async function status(ctx: EngineContext, vmId: string): ReturnType<Engine['status']> {
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    const last = await heardOf(ctx, vmId);
    if (!last) return undefined;
    if (!(await isRunning(last.runner))) return { status: last, alive: false };
    try {
      return {
        status: await clientOf(ctx, vmId).call('GET', '/status', RunnerStatus, { timeoutMs: answerMs }),
        alive: true,
      };
    } catch (error) {
      // It opens its socket just after its first word, and closes it just before its last one.
      if (Date.now() > deadline) throw error;
      await pause(pollMs);
    }
  }
}

/**
 * The last word of the VM's runner. One that a controller started just before it was killed has not said anything yet:
 * it is found by its command line and waited for, so that no runner comes up behind the back of whoever asks.
 */
export async function heardOf(ctx: EngineContext, vmId: string): Promise<RunnerStatus | undefined> {
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    const last = await lastWord(ctx, vmId);
    if (last) return last;
    const runner = await findRunner(ctx.paths.vm(vmId));
    if (!runner) return lastWord(ctx, vmId);
    if (Date.now() > deadline) await killExactly(runner);
    await pause(pollMs);
  }
}

/** What stands in status.json; undefined when there is none, or what a crash of the host left of it says nothing. */
export async function lastWord({ paths }: EngineContext, vmId: string): Promise<RunnerStatus | undefined> {
  return (await readStatusFile(paths.vmFile(vmId, 'status')).catch(nullIfAbsent)) ?? undefined;
}

/** The runner process of a VM folder, by its command line, which no other process has. */
async function findRunner(folder: string): Promise<ProcessIdentity | null> {
  const wanted = `${[runnerMain, folder].join('\0')}\0`;
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    // A process may end while it is looked at.
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (commandLine.endsWith(wanted)) return identifyProcess(Number(pid));
  }
  return null;
}

/**
 * How fast guests are: lets one count that writes a byte when it begins and one for each million, and sees how much processor time
 * that takes. The time on the clock says nothing on a busy host; the VMM's own start says nothing of the guest.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { withDeadline } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import { processorMs, tail } from '@airlock/contract/process';
import type { Count } from './driver.js';

/** Milliseconds of processor time that are enough to tell. */
const enoughCpuMs = 300;
/** Between two looks, milliseconds on the clock. */
const pollMs = 10;

/**
 * Runs a VMM whose guest counts on its standard output, and ends it: after `limitMs` milliseconds on the clock in any case. It dies
 * with this process.
 * @throws AppError command_failed when it ends by itself
 */
export async function watchCount(program: string, args: readonly string[], limitMs = 10_000): Promise<Count> {
  const child = spawn('setpriv', ['--no-new-privs', '--pdeathsig', 'KILL', '--', program, ...args]);
  let words = '';
  let bytes = 0;
  child.stderr.on('data', (chunk: Buffer) => (words = tail(words + chunk.toString())));
  child.stdout.on('data', (chunk: Buffer) => (bytes += chunk.length));
  const over = new AbortController();
  const exited = ended(child).finally(() => over.abort());
  const counting = sample(child, () => bytes, withDeadline(over.signal, limitMs)).finally(() => child.kill('SIGKILL'));
  const [end, count] = await Promise.all([exited, counting]);
  if (end === 'SIGKILL') return count;
  const details = { lastOutput: words };
  throw new AppError('command_failed', `${program} ended by itself (${end}): ${tail(words, 3)}`, { details });
}

/** Until it is enough, or `over`. */
async function sample({ pid }: ChildProcess, bytesNow: () => number, over: AbortSignal): Promise<Count> {
  let begin: { bytes: number; cpuMs: number } | undefined;
  let last: Count = { millions: 0, cpuMs: 0 };
  while (pid !== undefined && !over.aborted && (last.millions === 0 || last.cpuMs < enoughCpuMs)) {
    await delay(pollMs);
    const bytes = bytesNow();
    const cpuMs = await processorMs(pid);
    if (bytes === 0 || cpuMs === null) continue;
    begin ??= { bytes, cpuMs };
    const millions = bytes - begin.bytes;
    // Between two bytes only the time grows, which says nothing once there is a million.
    if (millions === 0 || millions > last.millions) last = { millions, cpuMs: cpuMs - begin.cpuMs };
  }
  return last;
}

/** Its exit code, or the signal that ended it. */
function ended(child: ChildProcess): Promise<number | NodeJS.Signals | null> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(signal ?? code));
  });
}

/** What an ended Firecracker is to be called. Pure. */
import { AppError } from '@airlock/contract/errors';
import type { VmmEnd } from '../driver.js';
import type { ProcessExit as Exit } from '../../lib/device.js';

/** `FcExitCode` of its source, versions 1.12 to 1.16, in words. */
const meanings: Readonly<Record<number, string>> = {
  1: 'a general fault',
  2: 'a fault that its authors did not expect',
  148: 'it made a system call that its filter forbids',
  149: 'SIGBUS: a file behind the VM, its memory or a disk, was cut short or cannot be read',
  150: 'SIGSEGV',
  151: 'SIGXFSZ: a file became larger than a file may be',
  152: 'the VM was described wrongly',
  153: 'it does not know its arguments',
  154: 'SIGXCPU: its time is used up',
  155: 'SIGPIPE',
  156: 'SIGHUP',
  157: 'SIGILL',
};

/** What is said of an exit, such as "ended with code 148 (it made a system call …)". */
function wordsFor({ code, signal }: Exit): string {
  if (code === null) return `was ended by ${signal ?? 'something unknown'}`;
  const meaning = meanings[code];
  return `ended with code ${code}${meaning === undefined ? '' : ` (${meaning})`}`;
}

/** It ends with 0 when its guest resets the machine, or ends by an exception that nobody handles. */
export function endOf(exit: Exit, words: LastWords): VmmEnd {
  return exit.code === 0 ? { by: 'guest' } : { by: 'fault', error: vmmEnded(exit, words) };
}

export interface LastWords {
  /** The VMM's last lines. */
  messages: string;
  /** Its counters of what went wrong, by name. */
  failures: Readonly<Record<string, number>>;
}

/** The error of an exit; `when` is added to what is said of it. */
export function vmmEnded(exit: Exit, { messages, failures }: LastWords, when = '', cause?: unknown): AppError {
  // What it said before somebody killed it is not why.
  const reason = exit.signal === null ? lastReason(messages) : '';
  return new AppError('vmm_failed', `Firecracker ${wordsFor(exit)}${when}${reason === '' ? '.' : `: ${reason}`}`, {
    details: { lastOutput: messages, failures },
    ...(cause !== undefined && { cause }),
  });
}

/** The last message that tells more than that it ended, without its time and its VM. */
function lastReason(messages: string): string {
  const reasons = messages.split('\n').filter((line) => !/RunWithApi|exiting with error/.test(line));
  return (reasons.at(-1) ?? '').replace(/^\S+ \[[^\]]*\] /, '');
}

/** Adds up what its metrics say of faults. */
export function createCounters(): { read: (chunk: Buffer) => void; failures: () => Record<string, number> } {
  const sums = new Map<string, number>();
  let rest = '';
  return {
    read(chunk) {
      const lines = (rest + chunk.toString('utf8')).split('\n');
      rest = (lines.pop() ?? '').slice(0, maxLine);
      // Each line counts from the one before it.
      for (const [name, count] of lines.flatMap(failuresIn)) sums.set(name, (sums.get(name) ?? 0) + count);
    },
    failures: () => Object.fromEntries(sums),
  };
}

/** Characters of one line: some 10 000 in 1.12. */
const maxLine = 256 * 1024;

/** Of the counters in one line, those of faults that happened, such as `["block.event_fails", 1]`. */
function failuresIn(line: string): [string, number][] {
  const found: [string, number][] = [];
  const look = (value: unknown, path: string): void => {
    if (typeof value === 'object' && value !== null) {
      for (const [name, member] of Object.entries(value)) look(member, path === '' ? name : `${path}.${name}`);
    } else if (typeof value === 'number' && value > 0 && /(?:fail|fault|error|panic)\w*$/.test(path)) {
      found.push([path, value]);
    }
  };
  try {
    look(JSON.parse(line), '');
  } catch {
    // What the end of the process has cut tells nothing.
  }
  return found;
}

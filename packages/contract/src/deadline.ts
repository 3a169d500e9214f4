/** Ends of waits: each one has a signal, a time, or both. */
import { AppError } from './errors.js';

/**
 * Fires with `signal`, or after `ms` milliseconds with a TimeoutError. Does not keep the process alive.
 * AbortSignal.any over AbortSignal.timeout will not do: both hold each other weakly, and Node 20 collects a timeout that
 * nothing else holds as garbage, so that it never fires.
 */
export function withDeadline(signal: AbortSignal, ms: number): AbortSignal {
  const late = new AbortController();
  const fire = (): void => late.abort(new DOMException(`The operation took longer than ${ms} ms.`, 'TimeoutError'));
  setTimeout(fire, ms).unref();
  return AbortSignal.any([signal, late.signal]);
}

/**
 * In a call to a runner: milliseconds within which the agent in its VM must have answered, from the first byte to the last. The runner
 * ends what takes longer, also when nobody waits any more.
 */
export const deadlineHeader = 'airlock-deadline-ms';

/** One wait that has an end. */
export interface Limit {
  readonly signal: AbortSignal;
  /** The wait is over: nothing of it is kept. Idempotent. */
  end(): void;
}

/** Fires with what `late` makes after `ms` milliseconds (null: never by itself), or with the reason of `signal` when that is first. */
export function startLimit(ms: number | null, late: () => Error, signal?: AbortSignal): Limit {
  const over = new AbortController();
  const end = (): void => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  };
  const fire = (reason: unknown): void => {
    end();
    over.abort(reason);
  };
  const onAbort = (): void => fire(signal?.reason);
  const timer = ms === null ? undefined : setTimeout(() => fire(late()), ms).unref();
  if (signal?.aborted) onAbort();
  else signal?.addEventListener('abort', onAbort);
  return { signal: over.signal, end };
}

/** Resolves when `signal` fires. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/**
 * What `work` comes to, but not later than `signal`: the work goes on, only nobody waits for it any more.
 * @throws AppError the signal's reason, when it fires first
 */
export async function raceAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  // Whoever stops waiting does not want to hear how it failed later.
  work.catch(() => undefined);
  if (signal.aborted) throw AppError.from(signal.reason);
  const waiting = new AbortController();
  const gone = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(AppError.from(signal.reason)), { signal: waiting.signal });
  });
  try {
    return await Promise.race([work, gone]);
  } finally {
    waiting.abort();
  }
}

/** What `work` comes to, but not later than after `ms` milliseconds. @throws what `late` makes, when that time is over first */
export async function inTime<T>(work: Promise<T>, ms: number, late: () => Error): Promise<T> {
  work.catch(() => undefined);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(late()), ms);
  });
  try {
    return await Promise.race([work, over]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waiting for something outside this process that announces nothing: asked again and again until a deadline. */
import { setTimeout as pause } from 'node:timers/promises';
import { patience } from './patience.js';

export interface PollOptions {
  /** On an ordinary host; see patience.ts. */
  timeoutMs: number;
  /** Pause between two questions; 100 by default. */
  intervalMs?: number;
  signal?: AbortSignal;
  /** Added to the error when the deadline passes, such as the tail of a log. */
  explain?: () => string | Promise<string>;
}

/**
 * Calls `probe` until it answers something other than undefined, null or false, and returns that.
 * @throws Error naming `what` when the deadline passes; whatever `probe` throws is thrown at once.
 */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  options: PollOptions,
): Promise<Exclude<T, undefined | null | false>> {
  const timeoutMs = options.timeoutMs * patience;
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    options.signal?.throwIfAborted();
    const found = await probe();
    if (found !== undefined && found !== null && found !== false) {
      return found as Exclude<T, undefined | null | false>;
    }
    if (Date.now() >= deadline) break;
    await pause(options.intervalMs ?? 100, undefined, options.signal ? { signal: options.signal } : {});
  }
  const more = options.explain ? `\n${await options.explain()}` : '';
  throw new Error(`Waited ${timeoutMs} ms in vain for ${what}.${more}`);
}

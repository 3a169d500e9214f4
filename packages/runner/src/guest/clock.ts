/**
 * The guest's clock, held against the host's: it stands still while the VM does (paused, restored), and nobody in there has another to
 * look at. One small request at a time; what a guest answers moves nobody's clock but its own.
 */
import { aborted, startLimit } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import type { GuestAgent } from './agent.js';

/** Milliseconds. */
const times = {
  /** Between two looks: less than a connection rests, so that the next look takes the same. */
  pause: 1500,
  /** An answer that took longer says too little of the moment that it is of. */
  slow: 1000,
  /** A clock that is less wrong is left alone. With half of what an answer may take this is the promised second. */
  tolerated: 500,
  /** A paused VM answers when it runs on, and is asked no more often meanwhile: its VMM keeps what it could not pass on. */
  answer: 60_000,
} as const;

export interface ClockEvents {
  /** The guest's clock was so many milliseconds behind (negative: ahead), and is right now. */
  moved(byMs: number): void;
  /** It could not be looked at, or moved; `isLast`: nor will it be, for the agent is one of before. */
  failed(error: AppError, isLast: boolean): void;
}

/** Looks again and again until `signal` fires. Never rejects. */
export async function keepClock(
  agent: Pick<GuestAgent, 'clock' | 'moveClock'>,
  events: ClockEvents,
  signal: AbortSignal,
): Promise<void> {
  let wasSlow = false;
  while (!signal.aborted) {
    const { signal: over, end } = startLimit(
      times.answer,
      () => new Error(`no answer within ${times.answer} ms`),
      signal,
    );
    try {
      const behindMs = await lookAt(agent, over);
      // The VM may just have run on: the next answer says how long it stood.
      if (behindMs === null && !wasSlow) {
        wasSlow = true;
        continue;
      }
      wasSlow = false;
      if (behindMs !== null && Math.abs(behindMs) > times.tolerated) {
        await agent.moveClock(behindMs, over);
        events.moved(behindMs);
      }
    } catch (error) {
      if (signal.aborted) return;
      const isLast = error instanceof AppError && error.details?.['status'] === 404;
      events.failed(AppError.from(error), isLast);
      if (isLast) return;
    } finally {
      end();
    }
    await aborted(startLimit(times.pause, () => new Error('it is time to look again'), signal).signal);
  }
}

/** How many milliseconds the guest's clock is behind; null when the answer took too long to tell. @throws AppError */
async function lookAt(agent: Pick<GuestAgent, 'clock'>, signal: AbortSignal): Promise<number | null> {
  const askedAt = performance.now();
  const guestMs = await agent.clock(signal);
  const tookMs = performance.now() - askedAt;
  return tookMs > times.slow ? null : Math.round(Date.now() - tookMs / 2 - guestMs);
}

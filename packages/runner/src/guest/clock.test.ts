import { AppError } from '@airlock/contract/errors';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { keepClock } from './clock.js';

/** Milliseconds. */
let behind: number;
let takesMs: number;
let asked: number;
let open: number;
let failure: AppError | null;
let moves: number[];
let failed: [string, boolean][];
let over: AbortController;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date', 'performance', 'setTimeout', 'clearTimeout'] });
  [behind, takesMs, asked, open, failure, moves, failed] = [0, 10, 0, 0, null, [], []];
  over = new AbortController();
});
afterEach(() => {
  over.abort();
  vi.useRealTimers();
});

function watch(): Promise<void> {
  const agent = {
    clock: async (signal: AbortSignal): Promise<number> => {
      asked += 1;
      open += 1;
      expect(open).toBe(1);
      await new Promise<void>((resolve, reject) => {
        setTimeout(resolve, takesMs);
        signal.addEventListener('abort', () => reject(new AppError('guest_unreachable', 'late')));
      }).finally(() => (open -= 1));
      if (failure) throw failure;
      return Date.now() - takesMs / 2 - behind;
    },
    moveClock: async (byMs: number) => {
      behind -= byMs;
    },
  };
  const events = {
    moved: (byMs: number) => void moves.push(byMs),
    failed: ({ code }: AppError, isLast: boolean) => void failed.push([code, isLast]),
  };
  return keepClock(agent, events, over.signal);
}
const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

describe("the guest's clock", () => {
  it.each([86_400_000, 1200, -1200, -3_600_000])('that is %d ms behind is right within 5 s', async (ms) => {
    void watch();
    await pass(60_000);
    behind = ms;
    await pass(5000);
    expect(Math.abs(behind)).toBeLessThanOrEqual(1);
    expect(moves).toEqual([ms]);
  });

  it('is left alone while it is right, looked at once in a while', async () => {
    behind = 400;
    void watch();
    await pass(60_000);
    expect(moves).toEqual([]);
    expect(asked).toBeLessThan(45);
  });

  it('is not judged by an answer that took long, and is as soon as the VM runs on', async () => {
    takesMs = 30_000;
    void watch();
    await pass(29_999);
    expect([asked, open]).toEqual([1, 1]);
    behind = 30_000;
    takesMs = 10;
    await pass(20);
    expect([asked, moves, behind]).toEqual([2, [30_000], 0]);
  });

  it('is asked for no more than once a minute while nothing comes back, and one request at a time', async () => {
    takesMs = 1e9;
    void watch();
    await pass(600_000);
    expect([asked <= 10, open, moves]).toEqual([true, 1, []]);
    expect(failed[0]).toEqual(['guest_unreachable', false]);
  });

  it('of an agent that does not know how is given up, of one that failed is not', async () => {
    failure = new AppError('guest_refused', 'no', { details: { status: 500 } });
    const done = watch();
    await pass(10_000);
    expect(asked).toBeGreaterThan(5);
    failure = new AppError('guest_refused', 'no', { details: { status: 404 } });
    await pass(2000);
    await done;
    expect(failed.at(-1)).toEqual(['guest_refused', true]);
  });
});

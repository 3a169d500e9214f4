/** When a boot is given up, with the time of the test. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { startBootClock, type Late } from './boot-clock.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const seconds = (n: number): number => n * 1000;

/** When a VM is given up that gets on at these seconds, and is ready at `readyAt`; undefined: never. */
async function givenUp(limits: { bootTimeoutMs: number; bootBoundMs?: number }, at: number[], readyAt?: number) {
  let found: Late | undefined;
  const clock = startBootClock(limits, (late) => (found = late));
  for (let second = 1; second <= 2000 && found === undefined && second !== readyAt; second++) {
    await vi.advanceTimersByTimeAsync(1000);
    if (at.includes(second)) clock.progress();
  }
  clock.end();
  await vi.advanceTimersByTimeAsync(seconds(2000));
  return found;
}

const limits = { bootTimeoutMs: seconds(60) };
const until = (last: number): number[] => Array.from({ length: last }, (_value, index) => index + 1);

it.each<[string, typeof limits & { bootBoundMs?: number }, number[], number, number]>([
  ['a silent one at its deadline', limits, [], 60, 60],
  ['one that stopped getting on long before, too', limits, [10, 45], 60, 15],
  ['one that got on just before, a quarter later', limits, [59], 74, 15],
  ['one that gets on, until it does not', limits, until(80), 95, 15],
  ['one that gets on for ever at the bound', limits, until(2000), 120, 1],
  ['one that gets on at the bound that was given', { ...limits, bootBoundMs: seconds(90) }, until(2000), 90, 1],
  [
    'one that gets on at its deadline, where that is the bound',
    { ...limits, bootBoundMs: seconds(60) },
    until(99),
    60,
    1,
  ],
])('gives up %s', async (_name, given, at, waited, quiet) => {
  const { waitedMs, quietMs } = (await givenUp(given, at)) ?? { waitedMs: NaN, quietMs: NaN };
  expect(Math.abs(waitedMs - seconds(waited))).toBeLessThan(20);
  expect(Math.abs(quietMs - seconds(quiet))).toBeLessThan(20);
});

it('keeps a slow VM that gets on until it is ready, past the deadline', async () => {
  expect(await givenUp(limits, until(99), 100)).toBeUndefined();
});

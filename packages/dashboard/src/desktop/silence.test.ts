import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { watchSilence } from './silence.js';

let over: AbortController;
let told: { at: number; tookMs: number | null }[];
let heardAt: number;
let answers: boolean;
let asked: number;
beforeEach(() => {
  vi.useFakeTimers();
  over = new AbortController();
  told = [];
  heardAt = performance.now();
  answers = true;
  asked = 0;
  const start = performance.now();
  void watchSilence(
    {
      heardAt: () => heardAt,
      ask: (signal) => {
        asked += 1;
        if (answers) return Promise.resolve();
        return new Promise((_, reject) => {
          const timer = setTimeout(() => reject(new Error('no answer')), 800);
          signal.addEventListener('abort', () => (clearTimeout(timer), reject(new Error('no answer'))));
        });
      },
      onSilence: (tookMs) => told.push({ at: performance.now() - start, tookMs }),
    },
    over.signal,
  );
});
afterEach(() => {
  over.abort();
  vi.useRealTimers();
});

it('asks nobody while the desktop is heard', async () => {
  for (let n = 0; n < 20; n++) {
    heardAt = performance.now();
    await vi.advanceTimersByTimeAsync(500);
  }
  expect([asked, told]).toEqual([0, []]);
});

it('says nothing of a desktop at rest, while Airlock answers', async () => {
  await vi.advanceTimersByTimeAsync(10_000);
  expect(asked).toBeGreaterThan(5);
  expect(told).toEqual([]);
});

it('tells a silence within two seconds, once, and how long it took', async () => {
  answers = false;
  await vi.advanceTimersByTimeAsync(2000);
  expect(told).toEqual([{ at: expect.closeTo(1800, -2) as number, tookMs: null }]);
  await vi.advanceTimersByTimeAsync(5000);
  expect(told).toHaveLength(1);
  answers = true;
  await vi.advanceTimersByTimeAsync(2000);
  expect(told).toHaveLength(2);
  expect(told[1]?.tookMs).toBeGreaterThan(5000);
});

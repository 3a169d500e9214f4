import { describe, expect, it } from 'vitest';
import { backoffMs } from './backoff.js';
import { formatCountdown, formatElapsed, formatMoment } from './time.js';

describe('formatElapsed', () => {
  it.each([
    [-500, '0 s'],
    [999, '0 s'],
    [7_400, '7 s'],
    [59_999, '59 s'],
    [65_000, '1 min 05 s'],
    [3_599_000, '59 min 59 s'],
    [3_720_000, '1 h 02 min'],
  ])('shows %d ms as %s', (elapsedMs, text) => expect(formatElapsed(elapsedMs)).toBe(text));
});

describe('formatCountdown', () => {
  it.each([
    [300_000, '5:00'],
    [245_001, '4:06'],
    [60_000, '1:00'],
    [1, '0:01'],
    [0, '0:00'],
    [-4000, '0:00'],
  ])('shows %d ms as %s', (remaining, text) => expect(formatCountdown(remaining)).toBe(text));
});

describe('formatMoment', () => {
  const noon = new Date(2026, 4, 14, 12, 0).getTime();
  it('leaves out the date for today', () => {
    expect(formatMoment(new Date(2026, 4, 14, 9, 30).toISOString(), noon)).not.toMatch(/14/);
  });
  it('names the day otherwise', () => {
    expect(formatMoment(new Date(2026, 4, 13, 9, 30).toISOString(), noon)).toMatch(/13/);
  });
});

describe('backoffMs', () => {
  it.each([
    [0, 500],
    [1, 500],
    [2, 1000],
    [4, 4000],
    [5, 8000],
    [50, 8000],
  ])('after %d failures waits %d ms', (failures, wait) => expect(backoffMs(failures)).toBe(wait));
});

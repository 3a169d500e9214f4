import { expect, it } from 'vitest';
import { createProgress, formatBytes } from './progress.js';

it('writes a line when a step begins and when it ends', () => {
  const lines: string[] = [];
  const progress = createProgress(2, (line) => lines.push(line));
  progress.step('First');
  progress.step('Second');
  progress.done('1 file');
  progress.done('not again');
  progress.stop();
  expect(lines.map((line) => line.replace(/[0-9.]+ s/, 'N s'))).toEqual([
    '[1/2] First',
    '[1/2]   done in N s',
    '[2/2] Second',
    '[2/2]   done in N s, 1 file',
  ]);
});

it.each([
  [512, '0.5 kB'],
  [16_100_000, '16.1 MB'],
  [2_048_000_000, '2.0 GB'],
])('formats %i bytes', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

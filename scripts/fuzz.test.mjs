import { expect, test } from 'vitest';
import { boundaries, boundariesIn, parse, table } from './fuzz.mjs';

test('a boundary is what a file calls fuzz with, and no two have one name', () => {
  expect(boundariesIn("fuzz('a guest', x); fuzz(\n  'a row',")).toEqual(['a guest', 'a row']);
  const names = boundaries().map(({ name }) => name);
  expect(names).toEqual([...new Set(names)]);
});

test('ten minutes for all of them, unless asked otherwise', () => {
  expect(parse([])).toMatchObject({ minutes: 10, only: null, path: null });
  const again = ['--minutes', '0.5', '--only', 'egress', '--seed', '7', '--path', '12:0'];
  expect(parse(again)).toEqual({ minutes: 0.5, only: 'egress', seed: 7, path: '12:0' });
});

test.each([[['--minutes', '0']], [['--minutes', 'x']], [['--seed', 'x']], [['--path', '1:2']], [['--fast']]])(
  '%j is refused',
  (args) => expect(() => parse(args)).toThrow(/--/),
);

test('the report says how many inputs each took, and how to play a failure again', () => {
  const lines = [
    { boundary: 'egress', inputs: 100, failed: false, seed: 1, path: null, peakMib: 12 },
    { boundary: 'guest', inputs: 3, failed: true, seed: 2, path: '2:1' },
  ];
  expect(table(lines.map((line) => JSON.stringify(line)).join('\n'))).toMatch(
    /^egress +100 inputs, held, memory \+12 MiB at most\nguest +3 inputs, failed: --seed 2 --path 2:1$/,
  );
});

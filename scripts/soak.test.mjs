import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root } from './checkout.mjs';
import { parse, soaks } from './soak.mjs';

test.each(Object.entries(soaks))('%s names files that exist', (_name, { files }) => {
  for (const file of files) expect(existsSync(join(root, file))).toBe(true);
});

test.each(['driver', 'custody'])('%s is told count and seed', (name) => {
  expect(Object.values(soaks[name].env({ count: 7, seed: 9 }))).toEqual(['7', '9']);
});

test('all are run with their own counts unless asked otherwise', () => {
  expect(parse([])).toMatchObject({ wanted: Object.keys(soaks), count: null });
  expect(parse(['--only', 'driver', '--count', '3', '--seed', '5'])).toEqual({ wanted: ['driver'], count: 3, seed: 5 });
});

test.each([[['--only', 'nothing']], [['--count', '0']], [['--seed', 'x']]])('%j is refused', (args) => {
  expect(() => parse(args)).toThrow(/nothing|--count|--seed/);
});

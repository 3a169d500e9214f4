import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root } from './checkout.mjs';
import { parse, soaks } from './soak.mjs';

test.each(Object.entries(soaks))('%s names files that exist', (_name, { files }) => {
  for (const file of files) expect(existsSync(join(root, file))).toBe(true);
});

test.each(['driver', 'custody'])('%s is told count and seed', (name) => {
  expect(Object.values(soaks[name].env({ cycles: 7, seed: 9 }))).toEqual(['7', '9']);
});

test('driver is told which driver and network', () => {
  const asked = parse(['--only', 'driver', '--cycles', '2', '--seed', '3', '--driver', 'qemu', '--network', 'netns']);
  const expected = { TEST_CYCLES: '2', TEST_SEED: '3', TEST_DRIVER: 'qemu', TEST_NETWORK: 'netns' };
  expect(soaks.driver.env(asked)).toEqual(expected);
});

test('all are run with their own counts unless asked otherwise', () => {
  expect(parse([])).toMatchObject({ wanted: Object.keys(soaks), cycles: null });
  expect(parse(['--only', 'driver', '--cycles', '3', '--seed', '5'])).toEqual({
    wanted: ['driver'],
    cycles: 3,
    seed: 5,
  });
});

test.each([[['--only', 'nothing']], [['--cycles', '0']], [['--seed', 'x']], [['--network', 'none']]])(
  '%j is refused',
  (args) => {
    expect(() => parse(args)).toThrow(/nothing|--cycles|--seed|none/);
  },
);

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root } from './checkout.mjs';
import { parse, subjects, table } from './conformance.mjs';

const result = (column, name, state, note = null) => ({ column, case: name, state, note });

test('each part is a file of the suite', () => {
  for (const subject of subjects) expect(existsSync(join(root, `tests/vm/driver/${subject}.test.ts`))).toBe(true);
});

test('a case has a cell for each driver: the worst of its runs, a skip with its reason', () => {
  const kill = (cycle) => `kills: leaves nothing (seed 1, cycle ${cycle}): after ${cycle} ms killed [ 'vmm' ]`;
  const found = table([
    result('b/netns', 'boot: powers on', 'passed'),
    result('a/user', 'boot: powers on', 'skipped', 'It needs KVM.'),
    result('a/user', 'end: stops', 'skipped', 'It needs KVM.'),
    result('b/netns', kill(1), 'passed'),
    result('b/netns', kill(2), 'passed'),
    result('a/user', kill(1), 'passed'),
    result('a/user', kill(2), 'failed'),
  ]);
  expect(found.split('\n')).toEqual([
    '| case | a/user | b/netns |',
    '| --- | --- | --- |',
    '| boot: powers on | skipped (1) | passed |',
    '| end: stops | skipped (1) | – |',
    '| kills: leaves nothing | **failed** 1 of 2 | passed (2) |',
    '',
    '1. It needs KVM.',
  ]);
});

test('what is asked for is read', () => {
  expect(parse(['--only', 'boot,end', '--with', '/a', '--with', '/b', '--save', '/c', '--no-run'])).toEqual({
    ...{ only: ['boot', 'end'], also: ['/a', '/b'], save: '/c', run: false },
  });
  expect(() => parse(['--only', 'nothing'])).toThrow('nothing');
});

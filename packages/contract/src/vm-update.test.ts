import { expect, test } from 'vitest';
import { VmUpdateState, type Vm } from './api.js';
import { describeChanges, isBehind, underWay } from './vm-update.js';

const update = (state: VmUpdateState): Vm['update'] => ({
  ...{ kind: 'update', state, imageId: null, since: '2030-01-01T12:00:00.000Z', error: null },
});
const behind: Vm['behind'] = { imageId: 'img_202601011200abcdef01', changes: [] };

test('everything but a failure is under way, and what is under way is not behind', () => {
  for (const state of VmUpdateState.options) {
    const isOver = state === 'failed';
    expect(underWay({ update: update(state) })).toBe(isOver ? null : state);
    expect(isBehind({ update: update(state), behind })).toBe(isOver);
  }
  expect(underWay({ update: null })).toBeNull();
  expect(isBehind({ update: null, behind })).toBe(true);
  expect(isBehind({ update: null, behind: null })).toBe(false);
});

test.each([
  [[], ''],
  [[{ name: 'Codex', from: '0.171.0', to: '0.172.0' }], 'Codex 0.171.0 → 0.172.0'],
  [
    [
      { name: 'jq', from: null, to: '1.7' },
      { name: 'mc', from: '4.8', to: null },
    ],
    'jq 1.7 (new), mc (no longer)',
  ],
  [
    [...'abcdefghij'].map((name) => ({ name, from: '1', to: '2' })),
    `${[...'abcdefgh'].map((name) => `${name} 1 → 2`).join(', ')}, and 2 more`,
  ],
])('%j is told', (changes, told) => expect(describeChanges(changes)).toBe(told));

import { VmState, type Vm } from '@airlock/contract/api';
import { sampleVm } from '@airlock/contract/fixtures/vm';
import { expect, test } from 'vitest';
import { describeFailed, describeStart, failureOf, isOver } from './update-words.js';

const at = '2026-01-01T00:00:00.000Z';
const vm: Vm = {
  ...sampleVm,
  update: { kind: 'update', state: 'copying', imageId: null, since: at, error: null },
};
const lost = { code: 'home_key_lost', message: 'Its key is gone.', hint: '' } as const;

test('a VM that is gone, or going, ends the update with the reason', () => {
  const over = VmState.options.filter((state) => isOver({ ...vm, state }));
  expect(over).toEqual(['destroying', 'failed', 'destroyed']);
  for (const state of over) {
    expect(failureOf({ ...vm, state })?.message).toBe(`${vm.id} is ${state}: somebody has destroyed it meanwhile.`);
    expect(failureOf({ ...vm, state, error: lost })).toMatchObject(lost);
    expect(describeFailed({ ...vm, state })).toBe(`${vm.id} is ${state}`);
  }
});

test('an update that is over is a good one, or says why not', () => {
  const failed = { kind: 'reset', state: 'failed', imageId: null, since: at } as const;
  expect(failureOf({ ...vm, update: null })).toBeNull();
  expect(failureOf({ ...vm, update: { ...failed, error: lost } })).toMatchObject(lost);
  expect(failureOf({ ...vm, update: { ...failed, error: null } })?.message).toContain('does not say why');
  expect(describeFailed({ ...vm, update: { ...failed, error: lost } })).toContain(
    'was not reset: its old root is in use',
  );
});

test('what the VM gets is told as far as it is known', () => {
  expect(describeStart(vm)).toBe(`${vm.id} gets the current image`);
  const behind = { imageId: 'img_202602011200abcdef02', changes: [] };
  expect(describeStart({ ...vm, behind })).toBe(`${vm.id} gets ${behind.imageId}`);
});

import { VmUpdateState, type Vm } from '@airlock/contract/api';
import { sampleVm } from '@airlock/contract/fixtures/vm';
import { expect, it } from 'vitest';
import { describeAvailable, describeFailure, describeUnderWay } from './update-state.js';

const at = '2030-01-01T11:00:00.000Z';
const changes = [
  { name: 'Codex', from: '0.171.0', to: '0.172.0' },
  { name: 'kernel', from: '6.12.1', to: '6.12.2' },
];
const vm: Vm = { ...sampleVm, behind: { imageId: 'img_202602011200abcdef02', changes } };
const update = (state: VmUpdateState, kind: 'update' | 'reset' = 'update'): Vm => ({
  ...vm,
  update: { kind, state, imageId: null, since: at, error: null },
});

it('each state but a failure is told as under way, with its kind', () => {
  const told = VmUpdateState.options.map((state) => describeUnderWay(update(state))?.label);
  expect(told).toEqual([
    ...[
      'Update: waits for its turn',
      'Update: being prepared',
      'Update: waits until nobody uses the VM',
      'Update: being put in',
    ],
    undefined,
  ]);
  expect(describeUnderWay(update('copying', 'reset'))?.label).toBe('Reset: being prepared');
  expect(describeUnderWay(vm)).toBeNull();
});

it('a failure alone is told as such', () => {
  const told = VmUpdateState.options.map((state) => describeFailure(update(state, 'reset')));
  expect(told.filter((one) => one !== null)).toEqual(['The reset failed. The old system is in use as before.']);
  expect(describeFailure(vm)).toBeNull();
});

it('what is new is told until it is under way, and again after a failure', () => {
  expect(describeAvailable(vm)).toBe('Update available: Codex 0.171.0 → 0.172.0, kernel 6.12.1 → 6.12.2');
  expect(describeAvailable({ ...vm, behind: { ...vm.behind!, changes: [] } })).toBe('Update available');
  expect(describeAvailable({ ...vm, behind: null })).toBeNull();
  expect(VmUpdateState.options.map((state) => describeAvailable(update(state)) !== null)).toEqual([
    ...[false, false, false, false, true],
  ]);
});

import { VmState, type Vm } from '@airlock/contract/api';
import { sampleVm } from '@airlock/contract/fixtures/vm';
import { expect, it } from 'vitest';
import { describeOwn, powerOf } from './vm-state.js';

const now = Date.parse('2030-01-01T12:00:00Z');
const vm: Vm = { ...sampleVm, stopAt: '2030-01-01T12:20:00.000Z' };

it.each<[Partial<Vm>, string, RegExp]>([
  [{}, 'Running', /^It stops .*20.* if idle\.$/],
  [{ uses: 1 }, 'Running', /^In use\.$/],
  [{ state: 'starting' }, 'Starting', /minute/],
  [{ state: 'stopping' }, 'Stopping', /^$/],
  [{ state: 'stopped', stopAt: null }, 'Stopped', /such as a prompt, starts it/],
  [{ state: 'creating' }, 'Being made', /copied/],
])('%j is told', (change, label, note) => {
  const told = describeOwn({ ...vm, ...change }, now);
  expect(told.label).toBe(label);
  expect(told.note).toMatch(note);
});

it('only a CLI VM that stands or comes is stopped and started', () => {
  const offered = VmState.options.filter((state) => powerOf({ ...vm, state }).length > 0);
  expect(offered).toEqual(['starting', 'running', 'stopped']);
  expect(VmState.options.flatMap((state) => powerOf({ ...vm, kind: 'browser', state }))).toEqual([]);
});

it('one that stands still or runs is reset, unless it gets another root already', () => {
  const resets = (update: Vm['update']) =>
    VmState.options.filter((state) => powerOf({ ...vm, state, update }).includes('reset'));
  const update = { kind: 'update', imageId: null, since: vm.createdAt, error: null } as const;
  expect(resets(null)).toEqual(['running', 'stopped']);
  expect(resets({ ...update, state: 'failed' })).toEqual(['running', 'stopped']);
  expect(resets({ ...update, state: 'copied' })).toEqual([]);
});

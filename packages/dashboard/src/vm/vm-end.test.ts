import type { Vm } from '@airlock/contract/api';
import { sampleVm } from '@airlock/contract/fixtures/vm';
import { expect, it } from 'vitest';
import { describeEnd } from './vm-end.js';

const now = Date.parse('2030-01-01T12:00:00Z');
const soon = '2030-01-01T12:20:00.000Z';
const vm: Vm = { ...sampleVm, kind: 'browser' };

it.each<[Partial<Vm>, RegExp]>([
  [{ destroyAt: soon }, /^ends .*20/],
  [{ kind: 'cli', stopAt: soon }, /^stops .*20.* if idle$/],
  [{ kind: 'cli', state: 'stopped' }, /^–$/],
  [{ kind: 'cli', state: 'stopping' }, /^–$/],
  [{ state: 'destroying', destroyAt: soon }, /^–$/],
  [{ state: 'destroyed', destroyAt: soon }, /^ended .*20/],
  [{ state: 'failed', destroyAt: soon }, /^ended .*20/],
])('%j is told', (change, words) => expect(describeEnd({ ...vm, ...change }, now)).toMatch(words));

import type { Vm } from '@airlock/contract/api';
import { expect, it } from 'vitest';
import { describeEnd } from './vm-end.js';

const now = Date.parse('2030-01-01T12:00:00Z');
const soon = '2030-01-01T12:20:00.000Z';
const vm: Vm = {
  ...{ id: 'vm_0123456789abcdef', userId: 'usr_0123456789abcdef', kind: 'browser', state: 'running', sessionId: null },
  ...{
    imageId: 'img_202601011200abcdef01',
    accel: 'kvm',
    countMs: null,
    network: null,
    createdAt: '2030-01-01T11:00:00.000Z',
    readyAt: null,
  },
  ...{
    destroyAt: null,
    stopAt: null,
    uses: 0,
    update: null,
    behind: null,
    timings: { vncMs: null, agentMs: null, readyMs: null },
    error: null,
  },
};

it.each<[Partial<Vm>, RegExp]>([
  [{ destroyAt: soon }, /^ends .*20/],
  [{ kind: 'cli', stopAt: soon }, /^stops .*20.* if idle$/],
  [{ kind: 'cli', state: 'stopped' }, /^–$/],
  [{ kind: 'cli', state: 'stopping' }, /^–$/],
  [{ state: 'destroying', destroyAt: soon }, /^–$/],
  [{ state: 'destroyed', destroyAt: soon }, /^ended .*20/],
  [{ state: 'failed', destroyAt: soon }, /^ended .*20/],
])('%j is told', (change, words) => expect(describeEnd({ ...vm, ...change }, now)).toMatch(words));

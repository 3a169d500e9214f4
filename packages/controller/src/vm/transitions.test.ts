import { describe, expect, it } from 'vitest';
import { VmState } from '@airlock/contract/api';
import { finalStates, firstState, transitions, vmEvents, waysOf, type VmEvent } from './transitions.js';

const states = VmState.options;
const events = Object.keys(vmEvents) as VmEvent[];

/** Written down a second time, by hand: a change of the table must be meant. Every pair that is not here is refused. */
const expected: Record<VmState, Partial<Record<VmEvent, VmState>>> = {
  creating: { power_on: 'starting', restored: 'stopped', failed: 'failed', destroy: 'destroying' },
  starting: {
    waits: 'waiting',
    ready: 'running',
    stop: 'stopping',
    ended: 'stopped',
    restart_lost: 'stopped',
    start_again: 'creating',
    failed: 'failed',
    destroy: 'destroying',
  },
  waiting: { assign: 'starting', failed: 'failed', destroy: 'destroying' },
  running: {
    stop: 'stopping',
    ended: 'stopped',
    restart_lost: 'stopped',
    failed: 'failed',
    destroy: 'destroying',
  },
  stopping: { released: 'stopped', destroy: 'destroying' },
  stopped: { power_on: 'starting', destroy: 'destroying' },
  destroying: { removed: 'destroyed' },
  failed: {},
  destroyed: {},
};

describe('VM transitions', () => {
  it('has a row for every state', () => {
    expect(Object.keys(transitions).sort()).toEqual([...states].sort());
  });

  it.each(states.flatMap((state) => events.map((event) => [state, event, expected[state][event]] as const)))(
    '%s on %s becomes %s',
    (state, event, next) => {
      expect(transitions[state][event]).toBe(next);
      expect(new Map(waysOf(event)).get(state)).toBe(next);
    },
  );

  it('ends in failed and destroyed, and nowhere else', () => {
    expect([...finalStates].sort()).toEqual(['destroyed', 'failed']);
  });

  it.each(states.filter((state) => !finalStates.includes(state) && state !== 'destroying'))(
    '%s can be destroyed',
    (state) => expect(transitions[state].destroy).toBe('destroying'),
  );

  it('has no event that changes nothing', () => {
    for (const state of states) expect(Object.values(transitions[state])).not.toContain(state);
  });

  it('can be reached, each state, from the first one', () => {
    const reached = new Set<VmState>([firstState]);
    for (const state of reached) Object.values(transitions[state]).forEach((next) => reached.add(next));
    expect([...reached].sort()).toEqual([...states].sort());
  });
});

import { describe, expect, it } from 'vitest';
import { finalStatuses, isFinal, sessionStatuses, type SessionStatus } from '@airlock/contract/session';
import { nextStatus, sessionEvents, transitions, type SessionEvent } from './transitions.js';

const events = Object.keys(sessionEvents) as SessionEvent[];
const failed = 'failed';
const cancelled = 'cancelled';

/** Written down a second time, by hand: a change of the table must be meant. Every pair that is not here is refused. */
const expected: Record<SessionStatus, Partial<Record<SessionEvent, SessionStatus>>> = {
  pending: { progress: 'pending', vm_created: 'vm_created', fail: failed, cancel: cancelled },
  vm_created: { progress: 'vm_created', desktop_ready: 'ready', fail: failed, cancel: cancelled },
  ready: {
    progress: 'ready',
    page_opened: 'awaiting_user_auth',
    login_failed: 'awaiting_user_auth',
    login_restarted: 'ready',
    fail: failed,
    cancel: cancelled,
  },
  awaiting_user_auth: {
    progress: 'awaiting_user_auth',
    extended: 'awaiting_user_auth',
    active: 'awaiting_user_auth',
    login_failed: 'awaiting_user_auth',
    login_restarted: 'ready',
    credential_received: 'authenticating',
    fail: failed,
    time_out: 'timeout',
    cancel: cancelled,
  },
  authenticating: {
    progress: 'authenticating',
    sealed: 'delivering',
    hand_over_failed: 'awaiting_user_auth',
    fail: failed,
    cancel: cancelled,
  },
  delivering: {
    progress: 'delivering',
    proved: 'completed',
    hand_over_failed: 'awaiting_user_auth',
    fail: failed,
    cancel: cancelled,
  },
  completed: {},
  failed: {},
  timeout: {},
  cancelled: {},
};

describe('session transitions', () => {
  it('has a row for every status', () => {
    expect(Object.keys(transitions).sort()).toEqual([...sessionStatuses].sort());
  });

  it.each(
    sessionStatuses.flatMap((status) => events.map((event) => [status, event, expected[status][event]] as const)),
  )('%s on %s becomes %s', (status, event, next) => expect(nextStatus(status, event)).toBe(next));

  it.each(finalStatuses)('%s is final', (status) => expect(transitions[status]).toEqual({}));

  it.each(sessionStatuses.filter((status) => !isFinal(status)))('%s can fail and be cancelled', (status) => {
    expect(transitions[status]).toMatchObject({ fail: 'failed', cancel: 'cancelled' });
  });

  it('can be reached, each status, from pending', () => {
    const reached = new Set<SessionStatus>(['pending']);
    for (const status of reached) Object.values(transitions[status]).forEach((next) => reached.add(next));
    expect([...reached].sort()).toEqual([...sessionStatuses].sort());
  });
});

import { describe, expect, it } from 'vitest';
import { finalStatuses, isFinal, sessionStatuses } from '@airlock/contract/session';
import { nextStatus, transitions, type SessionEvent } from './transitions.js';

const events: SessionEvent[] = [
  'progress',
  'vm_created',
  'desktop_ready',
  'page_opened',
  'credential_received',
  'sealed',
  'proved',
  'fail',
  'time_out',
  'cancel',
];
const way = [
  'pending',
  'vm_created',
  'ready',
  'awaiting_user_auth',
  'authenticating',
  'delivering',
  'completed',
] as const;
const forward: SessionEvent[] = [
  'vm_created',
  'desktop_ready',
  'page_opened',
  'credential_received',
  'sealed',
  'proved',
];

describe('session transitions', () => {
  it('has a row for every status', () => {
    expect(Object.keys(transitions).sort()).toEqual([...sessionStatuses].sort());
  });

  it.each(finalStatuses.flatMap((status) => events.map((event) => [status, event] as const)))(
    '%s ignores %s',
    (status, event) => {
      expect(nextStatus(status, event)).toBeUndefined();
    },
  );

  it.each(
    way.slice(0, -1).flatMap((status, place) => forward.map((event, step) => [status, event, place === step] as const)),
  )('%s on %s moves: %s', (status, event, allowed) => {
    const place = way.indexOf(status);
    expect(nextStatus(status, event)).toBe(allowed ? way[place + 1] : undefined);
  });

  it.each(sessionStatuses.filter((status) => !isFinal(status)))(
    '%s can fail, time out, be cancelled and progress',
    (status) => {
      expect(nextStatus(status, 'fail')).toBe('failed');
      expect(nextStatus(status, 'time_out')).toBe('timeout');
      expect(nextStatus(status, 'cancel')).toBe('cancelled');
      expect(nextStatus(status, 'progress')).toBe(status);
    },
  );
});

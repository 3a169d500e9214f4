/** The state machine of a sign-in: one table, (status, event) → next status. Final statuses have no way out. */
import type { SessionStatus } from '@airlock/contract/session';

/** `progress` changes steps or times only. */
export type SessionEvent =
  | 'progress'
  | 'vm_created'
  | 'desktop_ready'
  | 'page_opened'
  | 'credential_received'
  | 'sealed'
  | 'proved'
  | 'fail'
  | 'time_out'
  | 'cancel';

const ends = { fail: 'failed', time_out: 'timeout', cancel: 'cancelled' } as const;

/** What a status allows; an event that is absent is refused. */
export const transitions: Readonly<Record<SessionStatus, Partial<Record<SessionEvent, SessionStatus>>>> = {
  pending: { progress: 'pending', vm_created: 'vm_created', ...ends },
  vm_created: { progress: 'vm_created', desktop_ready: 'ready', ...ends },
  ready: { progress: 'ready', page_opened: 'awaiting_user_auth', ...ends },
  awaiting_user_auth: { progress: 'awaiting_user_auth', credential_received: 'authenticating', ...ends },
  authenticating: { progress: 'authenticating', sealed: 'delivering', ...ends },
  delivering: { progress: 'delivering', proved: 'completed', ...ends },
  completed: {},
  failed: {},
  timeout: {},
  cancelled: {},
};

/** The status after `event`, or undefined when `status` does not allow it. */
export function nextStatus(status: SessionStatus, event: SessionEvent): SessionStatus | undefined {
  return transitions[status][event];
}

/** The state machine of a sign-in: one table, (status, event) → next status. Final statuses have no way out. */
import type { SessionStatus } from '@airlock/contract/session';

/** What can happen to a sign-in. `docs/session-states.md` is printed from this and from the table. */
export const sessionEvents = {
  progress: 'only steps or details changed',
  vm_created: 'the row of its browser VM exists',
  desktop_ready: 'the desktop can be seen and used',
  page_opened: 'the CLI has opened its sign-in page, or shows its device code',
  extended: 'the person asked for more time',
  active: 'the person uses the desktop',
  login_failed: 'the CLI ended its login without a credential; the desktop stays',
  login_restarted: 'the login begins anew in the same VM, perhaps by another method',
  credential_received: 'the CLI says that it is signed in',
  sealed: 'the credential lies sealed in the vault, staged',
  hand_over_failed: 'the CLI VM did not take or accept the credential; the desktop stays',
  proved: 'the CLI in the CLI VM accepts the credential, and it is the active one',
  fail: 'it cannot go on',
  time_out: 'the person’s time is up',
  cancel: 'the person ended it',
} as const;
export type SessionEvent = keyof typeof sessionEvents;

const ends = { fail: 'failed', cancel: 'cancelled' } as const;

/** What a status allows; an event that is absent is refused. */
export const transitions: Readonly<Record<SessionStatus, Partial<Record<SessionEvent, SessionStatus>>>> = {
  pending: { progress: 'pending', vm_created: 'vm_created', ...ends },
  vm_created: { progress: 'vm_created', desktop_ready: 'ready', ...ends },
  ready: {
    progress: 'ready',
    page_opened: 'awaiting_user_auth',
    login_failed: 'awaiting_user_auth',
    login_restarted: 'ready',
    ...ends,
  },
  awaiting_user_auth: {
    progress: 'awaiting_user_auth',
    extended: 'awaiting_user_auth',
    active: 'awaiting_user_auth',
    login_failed: 'awaiting_user_auth',
    login_restarted: 'ready',
    credential_received: 'authenticating',
    time_out: 'timeout',
    ...ends,
  },
  authenticating: {
    progress: 'authenticating',
    sealed: 'delivering',
    hand_over_failed: 'awaiting_user_auth',
    ...ends,
  },
  delivering: { progress: 'delivering', proved: 'completed', hand_over_failed: 'awaiting_user_auth', ...ends },
  completed: {},
  failed: {},
  timeout: {},
  cancelled: {},
};

/** The status after `event`, or undefined when `status` does not allow it. */
export function nextStatus(status: SessionStatus, event: SessionEvent): SessionStatus | undefined {
  return transitions[status][event];
}

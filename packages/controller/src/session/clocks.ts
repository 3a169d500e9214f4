/** Each status has its own clock, a column of the row; here is how long it runs and what its end means. Pure. */
import { AppError, type ErrorCode } from '@airlock/contract/errors';
import type { finalStatuses, SessionStatus } from '@airlock/contract/session';
import type { Settings } from '@airlock/contract/settings';
import type { SessionRow } from './rows.js';
import type { SessionEvent } from './transitions.js';

export type OpenStatus = Exclude<SessionStatus, (typeof finalStatuses)[number]>;
type PersonSettings = Pick<Settings, 'AIRLOCK_SIGN_IN_TIMEOUT_S'>;
export interface ClockSettings extends PersonSettings {
  /** Milliseconds that a VM may take to come up on this host, at most. */
  bootBoundMs: number;
}

export interface Clock {
  /** Seconds from the moment in which the status is entered. */
  seconds(settings: ClockSettings): number;
  /** The same in words, for the documents. */
  words: string;
  event: Extract<SessionEvent, 'fail' | 'time_out'>;
  code: ErrorCode;
  message: string;
  hint: string;
}

/** A VM that does not come up reports it itself within this time; the clock is for one that says nothing at all. */
const bootSeconds = ({ bootBoundMs }: ClockSettings): number => Math.ceil(bootBoundMs / 1000);
const again = 'Press Connect to start again.';

export const clocks: Readonly<Record<OpenStatus, Clock>> = {
  pending: {
    seconds: () => 60,
    words: '60 s',
    event: 'fail',
    code: 'vm_create_timeout',
    message: 'No VM could be made for this sign-in in time.',
    hint: again,
  },
  vm_created: {
    seconds: (settings) => bootSeconds(settings) + 60,
    words: '60 s more than a VM may take to come up at most (`AIRLOCK_BOOT_TIMEOUT_S`)',
    event: 'fail',
    code: 'vm_boot_timeout',
    message: 'The desktop did not come up in time.',
    hint: again,
  },
  ready: {
    seconds: () => 180,
    words: '180 s',
    event: 'fail',
    code: 'login_page_timeout',
    message: 'The CLI did not open its sign-in page in time.',
    hint: again,
  },
  awaiting_user_auth: {
    seconds: (settings) => settings.AIRLOCK_SIGN_IN_TIMEOUT_S,
    words: '`AIRLOCK_SIGN_IN_TIMEOUT_S`, prolonged by Extend and by using the desktop up to 7 times that',
    event: 'time_out',
    code: 'sign_in_timeout',
    message: 'Nobody finished the sign-in in time.',
    hint: again,
  },
  authenticating: {
    seconds: () => 180,
    words: '180 s',
    event: 'fail',
    code: 'credential_timeout',
    message: 'The credential could not be taken over from the desktop in time.',
    hint: again,
  },
  delivering: {
    seconds: (settings) => 2 * bootSeconds(settings) + 300,
    words: '300 s more than twice what a VM may take to come up at most: a new CLI VM may have to be made',
    event: 'fail',
    code: 'hand_over_timeout',
    message: 'The credential could not be handed to the CLI VM in time.',
    hint: again,
  },
};

/** The person may have so many times AIRLOCK_SIGN_IN_TIMEOUT_S in all. */
const personTimes = 7;
/** Using the desktop is written to the row only when it wins so much of the person's time. */
const activityStep = 1 / 10;

const later = (from: Date, seconds: number): Date => new Date(from.getTime() + seconds * 1000);
const earliest = (a: Date, b: Date): Date => (a < b ? a : b);

type Deadlines = Pick<SessionRow, 'deadlineAt' | 'deadlineMaxAt'>;

/** The clock of `status`, entered at `now`. The limit of the person's time is set once, and anew after a failed hand-over. */
export function startClock(
  status: OpenStatus,
  row: Deadlines,
  event: SessionEvent,
  { settings, now }: { settings: ClockSettings; now: Date },
): Deadlines {
  const deadlineAt = later(now, clocks[status].seconds(settings));
  if (status !== 'awaiting_user_auth') return { deadlineAt, deadlineMaxAt: row.deadlineMaxAt };
  const kept = event === 'hand_over_failed' ? null : row.deadlineMaxAt;
  const deadlineMaxAt = kept ?? later(now, personTimes * settings.AIRLOCK_SIGN_IN_TIMEOUT_S);
  return { deadlineAt: earliest(deadlineAt, deadlineMaxAt), deadlineMaxAt };
}

/** The person's new deadline after Extend, or undefined when there is no more time to give. */
export function extendedDeadline(row: Deadlines, settings: PersonSettings): Date | undefined {
  if (row.deadlineAt === null || row.deadlineMaxAt === null || row.deadlineAt >= row.deadlineMaxAt) return undefined;
  return earliest(later(row.deadlineAt, settings.AIRLOCK_SIGN_IN_TIMEOUT_S), row.deadlineMaxAt);
}

/** The person's new deadline after input at the desktop, or undefined when it is not worth writing. */
export function activeDeadline(row: Deadlines, settings: PersonSettings, now: Date): Date | undefined {
  if (row.deadlineAt === null || row.deadlineMaxAt === null) return undefined;
  const seconds = settings.AIRLOCK_SIGN_IN_TIMEOUT_S;
  const wanted = earliest(later(now, seconds), row.deadlineMaxAt);
  return wanted.getTime() - row.deadlineAt.getTime() >= seconds * 1000 * activityStep ? wanted : undefined;
}

export const isExpired = (row: Pick<SessionRow, 'deadlineAt'>, now: Date): boolean =>
  row.deadlineAt !== null && row.deadlineAt <= now;

/** What ends a session whose clock has run out. A try that failed, and that nobody repeated, is the truth of it. */
export function expiry(row: Pick<SessionRow, 'status' | 'login' | 'notice'>): { event: SessionEvent; error: AppError } {
  const { event, code, message, hint } = clocks[row.status as OpenStatus];
  if (row.status === 'awaiting_user_auth' && row.login === null && row.notice !== null) {
    return { event: 'fail', error: AppError.fromBody(row.notice) };
  }
  return { event, error: new AppError(code, message, { hint }) };
}

/** What a session's state means for the person in front of it: a title, and the next step in one sentence. */
import type { Provider } from '@airlock/contract/provider/provider';
import { isFinal, type Session, type SessionStep } from '@airlock/contract/session';

export interface Guidance {
  title: string;
  sentence: string;
}

/** `provider` is the session's own. */
export function guide(session: Session, { name, vendor }: Provider): Guidance {
  switch (session.status) {
    case 'pending':
      return {
        title: 'Getting ready',
        sentence: 'Nothing to do yet: a private computer is being made for this sign-in.',
      };
    case 'vm_created':
      return {
        title: 'Private computer starting',
        sentence: 'Nothing to do yet: its desktop appears here as soon as it is up.',
      };
    case 'ready':
      return {
        title: 'Opening the sign-in page',
        sentence: `Wait a moment: ${name} is opening the page of ${vendor} in the browser.`,
      };
    case 'awaiting_user_auth':
      if (session.login === null && session.notice !== null)
        return {
          title: 'That did not work',
          sentence: 'The private computer is still here: read why below, and try again.',
        };
      if (session.login?.method === 'device_code')
        return {
          title: 'Your turn',
          sentence: session.login.takesCode
            ? `Open the page of ${vendor} on any device, sign in, and paste the code that it shows below.`
            : `Open the page of ${vendor} on any device, sign in, and type the code below.`,
        };
      return {
        title: 'Your turn',
        sentence: session.desktopReady
          ? `Sign in to ${vendor} in the browser window below, as you would at home.`
          : 'The sign-in page is open; its desktop appears here in a moment.',
      };
    case 'authenticating':
      return {
        title: 'Finishing the sign-in',
        sentence: `${name} is receiving its credential. There is nothing more to type.`,
      };
    case 'delivering':
      return {
        title: 'You are signed in',
        sentence: 'Your CLI VM is getting the credential. You may close this page; it goes on without you.',
      };
    case 'completed':
      return { title: `${name} is connected`, sentence: 'Your CLI VM is ready.' };
    case 'failed':
      return {
        title: 'The sign-in failed',
        sentence: 'Here is what went wrong. Its private computer is being destroyed.',
      };
    case 'timeout':
      return {
        title: 'The time for this sign-in is up',
        sentence: 'It was not finished in time. Try again when you are ready.',
      };
    case 'cancelled':
      return {
        title: 'The sign-in was cancelled',
        sentence: 'Its private computer is being destroyed, with everything on it.',
      };
  }
}

/** The step that the session is at: the one running last in the list, the one that failed, or null. */
export function currentStep(steps: readonly SessionStep[]): SessionStep | null {
  return steps.find((step) => step.status === 'failed') ?? steps.findLast((step) => step.status === 'running') ?? null;
}

/** How many of the steps are over, and of how many. */
export function progress(steps: readonly SessionStep[]): { done: number; total: number } {
  return { done: steps.filter(({ status }) => status === 'done' || status === 'skipped').length, total: steps.length };
}

/** Milliseconds that a step has taken so far or took in all; null before it starts. */
export function stepElapsedMs({ startedAt, finishedAt }: SessionStep, nowMs: number): number | null {
  if (startedAt === null) return null;
  return (finishedAt === null ? nowMs : Date.parse(finishedAt)) - Date.parse(startedAt);
}

/** Milliseconds until the person's time is up; null while no clock runs. */
export function remainingMs({ expiresAt, status }: Session, nowMs: number): number | null {
  return expiresAt === null || isFinal(status) ? null : Date.parse(expiresAt) - nowMs;
}

/** True in the last minute. */
export const isUrgent = (remaining: number): boolean => remaining <= 60_000;

/** True while the person's time can be prolonged. */
export const canExtend = ({ expiresAt, expiresAtMost }: Session): boolean =>
  expiresAt !== null && expiresAtMost !== null && Date.parse(expiresAt) < Date.parse(expiresAtMost);

/** The last try failed and nothing runs: the person decides how to go on. */
export const hasFailedTry = ({ status, login, notice }: Session): boolean =>
  status === 'awaiting_user_auth' && login === null && notice !== null;

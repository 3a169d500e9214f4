/** What a session's state means for the person in front of it: a title, and the next step in one sentence. */
import type { Provider } from '@airlock/contract/provider/provider';
import { isFinal, type Session, type SessionStep } from '@airlock/contract/session';

export interface Guidance {
  title: string;
  sentence: string;
}

type Words = (session: Session, provider: Provider) => Guidance;

/** What each status says. Where a name is the person's to know, it is the provider's. */
const words: Readonly<Record<Session['status'], Words>> = {
  pending: () => ({
    title: 'Getting ready',
    sentence: 'Nothing to do yet: a private computer is being made for this sign-in.',
  }),
  vm_created: () => ({
    title: 'Private computer starting',
    sentence: 'Nothing to do yet: its desktop appears here as soon as it is up.',
  }),
  ready: (_session, { name, vendor }) => ({
    title: 'Opening the sign-in page',
    sentence: `Wait a moment: ${name} is opening the page of ${vendor} in the browser.`,
  }),
  awaiting_user_auth: yourTurn,
  authenticating: (_session, { name }) => ({
    title: 'Finishing the sign-in',
    sentence: `${name} is receiving its credential. There is nothing more to type.`,
  }),
  delivering: () => ({
    title: 'You are signed in',
    sentence: 'Your CLI VM is getting the credential. You may close this page; it goes on without you.',
  }),
  completed: (_session, { name }) => ({ title: `${name} is connected`, sentence: 'Your CLI VM is ready.' }),
  failed: () => ({
    title: 'The sign-in failed',
    sentence: 'Here is what went wrong. Its private computer is being destroyed.',
  }),
  timeout: () => ({
    title: 'The time for this sign-in is up',
    sentence: 'It was not finished in time. Try again when you are ready.',
  }),
  cancelled: () => ({
    title: 'The sign-in was cancelled',
    sentence: 'Its private computer is being destroyed, with everything on it.',
  }),
};

function yourTurn({ login, notice, desktopReady }: Session, { name, vendor }: Provider): Guidance {
  if (login === null && notice?.code === 'setting_needed')
    return {
      title: 'One thing is missing',
      sentence: 'Answer what is asked below, and the sign-in goes on.',
    };
  if (login === null && notice !== null)
    return {
      title: 'That did not work',
      sentence: 'The private computer is still here: read why below, and try again.',
    };
  if (login?.method === 'callback')
    return {
      title: 'Your turn',
      sentence: login.takesCode
        ? `Sign in to ${vendor} in your own browser, and paste the address at its end below.`
        : `${name} has the address, and is finishing the sign-in. There is nothing more to type.`,
    };
  if (login?.method === 'device_code')
    return {
      title: 'Your turn',
      sentence: login.takesCode
        ? `Open the page of ${vendor} on any device, sign in, and paste the code that it shows below.`
        : `Open the page of ${vendor} on any device, sign in, and type the code below.`,
    };
  const why = notice?.code === 'login_repeated' ? `${notice.message} ` : '';
  return {
    title: 'Your turn',
    sentence: desktopReady
      ? `${why}Sign in to ${vendor} in the browser window below, as you would at home.`
      : 'The sign-in page is open; its desktop appears here in a moment.',
  };
}

/** `provider` is the session's own. */
export const guide = (session: Session, provider: Provider): Guidance => words[session.status](session, provider);

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

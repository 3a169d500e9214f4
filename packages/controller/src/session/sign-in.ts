/** The part of a sign-in that happens in the desktop: the CLI's login, by whatever method, until it says that it is done. */
import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '@airlock/contract/errors';
import { CredentialBundle, LoginStatus, type LoginMethod } from '@airlock/contract/guest';
import { callbackOf } from '@airlock/contract/provider/callback';
import { isOwnPage } from '@airlock/contract/provider/own-page';
import { refusalIn } from '@airlock/contract/provider/refusal';
import type { LoginSettings } from '@airlock/contract/provider/setting';
import { providers } from '@airlock/contract/provider/registry';
import type { StepName } from '@airlock/contract/session';
import type { StoredLogin } from './table.js';
import { browserOf, type Drive } from './driven.js';
import { callGuest, requireRunning } from '../vm/patience.js';
import { prepareCli } from './hand-over.js';
import type { SessionChange, SessionRow } from './rows.js';

/** The steps that a new login goes through again. */
const loginSteps: StepName[] = ['login_started', 'login_page', 'person', 'credential', 'sealed', 'delivered', 'proved'];

/** What `login_restarted` changes: the login that is wanted from now on. */
export function restartChange(
  method: LoginMethod,
  { notice, settings }: { notice?: AppError; settings?: LoginSettings | undefined } = {},
): Pick<SessionChange, 'patch' | 'steps'> {
  return {
    patch: (row) => ({
      // Grows with every change of the row, so no two logins of a session share a number.
      login: {
        ...newLogin(method, row.revision + 1),
        ...(settings && { settings }),
        ...(notice && row.deadlineAt && { until: row.deadlineAt.toISOString() }),
      },
      ...(notice && { notice: notice.toBody() }),
    }),
    steps: { reset: loginSteps, start: ['login_started'] },
  };
}

const newLogin = (method: LoginMethod, attempt: number): StoredLogin => ({
  method,
  attempt,
  started: false,
  deviceCode: null,
  takesCode: false,
});

/** True while the row's login is this one and not a later one. */
const isLogin =
  ({ attempt }: StoredLogin) =>
  (row: SessionRow): boolean =>
    (row.login?.attempt ?? 0) === attempt;

/** One look at the login while its page is not open yet: starts it, or moves on. */
export async function openLoginPage(drive: Drive, row: SessionRow): Promise<void> {
  const login = row.login ?? newLogin('browser', 0);
  const when = isLogin(login);
  if (!login.started) {
    await begin(drive, row, login);
    await drive.rows.apply(drive.id, 'progress', {
      patch: { login: { ...login, started: true } },
      steps: { finish: ['login_started'], start: ['login_page'] },
      when,
    });
    return;
  }
  const status = await loginStatus(drive, row);
  if (status.state === 'failed') return failLogin(drive, row, login, status);
  if (status.state === 'idle') {
    // The agent was restarted and has lost it: begin again.
    await drive.rows.apply(drive.id, 'progress', { patch: { login: { ...login, started: false } }, when });
  } else if (status.state !== 'starting') {
    const { deviceCode, takesCode } = status;
    await drive.rows.apply(drive.id, 'page_opened', {
      patch: {
        login: { ...login, deviceCode, takesCode },
        ...(login.until !== undefined && { deadlineAt: new Date(login.until) }),
      },
      steps: { finish: ['login_page'], start: ['person'] },
      when,
    });
    return;
  }
  await delay(drive.pollMs, undefined, { signal: drive.signal });
}

/** Starts the CLI's login. A further one first ends the one before, and removes what that may have left. */
async function begin(drive: Drive, row: SessionRow, login: StoredLogin): Promise<void> {
  const vmId = browserOf(row);
  if (login.attempt > 0) {
    await callGuest(drive, vmId, { method: 'DELETE', path: '/login', schema: LoginStatus });
    // A CLI that only lacked a setting goes on with the login that it has.
    if (!login.settings)
      await callGuest(drive, vmId, { method: 'DELETE', path: `/credentials/${row.provider}`, schema: null });
  }
  const { settings } = login;
  const body = { provider: row.provider, method: login.method, ...(settings && { settings }) };
  await callGuest(drive, vmId, { method: 'POST', path: '/login', schema: LoginStatus, body }).catch(
    (error: unknown) => {
      // A controller that was killed here, or a call whose answer was lost, has started it already.
      if (!(error instanceof AppError) || error.code !== 'login_running') throw error;
    },
  );
}

/** @throws AppError login_failed for an address that leads the person elsewhere than to the provider */
async function loginStatus(drive: Drive, row: SessionRow): Promise<LoginStatus> {
  const status = await callGuest(drive, browserOf(row), { method: 'GET', path: '/login', schema: LoginStatus });
  const { login, vendor } = providers[row.provider];
  const { deviceCode } = status;
  const isSafe = (url: string): boolean =>
    login !== null && isOwnPage(login, url) && (row.login?.method !== 'callback' || callbackOf(url) !== null);
  if (deviceCode === null || isSafe(deviceCode.url)) return status;
  throw new AppError('login_failed', `The VM shows an address that is no page of ${vendor}; it is not shown.`, {
    hint: 'Something in the VM is not what it should be: cancel this sign-in, and start a new one.',
  });
}

/** One look at the login while the person signs in. The person's clock is the row's, and somebody else looks at it. */
export async function awaitPerson(drive: Drive, row: SessionRow): Promise<void> {
  drive.cli ??= prepareCli(drive, row.userId);
  requireRunning(await drive.vms.get(browserOf(row)), browserOf(row));
  const { login } = row;
  if (login !== null) {
    const status = await loginStatus(drive, row);
    if (status.state === 'failed' && !hasWaited(row, status)) return failLogin(drive, row, login, status);
    if (status.state === 'failed' && hasTime(row)) return repeat(drive, row, login, status);
    if (status.state === 'succeeded') return received(drive, login);
    if (status.state === 'idle') return recover(drive, row, login);
    const { deviceCode, takesCode } = status;
    if (takesCode !== login.takesCode || deviceCode?.code !== login.deviceCode?.code) {
      const patch = { login: { ...login, deviceCode, takesCode } };
      await drive.rows.apply(drive.id, 'progress', { patch, when: isLogin(login) });
    }
  }
  await delay(drive.pollMs, undefined, { signal: drive.signal });
}

/** The CLI has given up waiting, and nothing else was wrong. */
const hasWaited = ({ provider }: SessionRow, { lastOutput }: LoginStatus): boolean =>
  refusalIn(providers[provider].login, lastOutput)?.again === true;

/** For another page: with less (ms) the person's clock ends first, unless they ask for more. */
const repeatMs = 15_000;
const hasTime = ({ deadlineAt }: SessionRow): boolean =>
  deadlineAt !== null && deadlineAt.getTime() - Date.now() > repeatMs;

async function repeat(drive: Drive, row: SessionRow, login: StoredLogin, status: LoginStatus): Promise<void> {
  const { reason = '', hint = '' } = refusalIn(providers[row.provider].login, status.lastOutput) ?? {};
  const notice = new AppError('login_repeated', `${reason} The sign-in has begun again by itself.`, { hint });
  await drive.rows.apply(drive.id, 'login_restarted', {
    ...restartChange(login.method, { notice, settings: login.settings }),
    when: isLogin(login),
  });
}

async function received(drive: Drive, login: StoredLogin): Promise<void> {
  await drive.rows.apply(drive.id, 'credential_received', {
    patch: { login: { ...login, deviceCode: null, takesCode: false } },
    steps: { finish: ['person'], start: ['credential'] },
    when: isLogin(login),
  });
}

/** The agent was restarted in the middle: what it had taken in is either complete, or the login begins again. */
async function recover(drive: Drive, row: SessionRow, login: StoredLogin): Promise<void> {
  const path = `/credentials/${row.provider}`;
  const isComplete = await callGuest(drive, browserOf(row), { method: 'GET', path, schema: CredentialBundle }).then(
    () => true,
    (error: unknown) => {
      if (error instanceof AppError && error.code === 'not_found') return false;
      throw error;
    },
  );
  if (isComplete) return received(drive, login);
  const notice = new AppError('login_repeated', 'The sign-in was interrupted inside its VM and has begun again.', {
    hint: 'Sign in once more.',
  });
  await drive.rows.apply(drive.id, 'login_restarted', {
    ...restartChange(login.method, { notice, settings: login.settings }),
    when: isLogin(login),
  });
}

/** Tells why; the desktop stays, and the person may try again or in another way. */
async function failLogin(drive: Drive, row: SessionRow, login: StoredLogin, status: LoginStatus): Promise<void> {
  const { name, login: how } = providers[row.provider];
  const refusal = refusalIn(how, status.lastOutput);
  const error = new AppError(
    refusal?.asks === undefined ? 'login_failed' : 'setting_needed',
    refusal?.reason ?? `The ${name} login ended with exit code ${status.exitCode ?? 'unknown'} and no credential.`,
    {
      hint: refusal?.hint ?? 'Try again. If sign-in was denied on the provider’s page, allow it there.',
      details: { lastOutput: status.lastOutput, ...(refusal?.asks !== undefined && { setting: refusal.asks }) },
    },
  );
  await drive.rows.apply(drive.id, 'login_failed', {
    patch: { login: null, notice: error.toBody() },
    steps: { fail: ['login_started', 'login_page', 'person'] },
    when: isLogin(login),
  });
}

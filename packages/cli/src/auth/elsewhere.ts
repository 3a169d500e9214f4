/** `airlock auth callback`: a sign-in that the person finishes in their own browser, and whose last address they paste. */
import { AppError } from '@airlock/contract/errors';
import { isFinal, Session } from '@airlock/contract/session';
import type { Api } from '../lib/api.js';
import { note, print } from '../lib/output.js';
import { readSecret } from '../lib/secret-input.js';
import { sessionEvents } from './events.js';

/** Begins that login anew unless it waits already: a wrong address is just pasted again. `path`: of the session. */
export async function signInElsewhere(api: Api, path: string): Promise<Session> {
  const { login } = await api.call('GET', path, Session);
  if (login?.method !== 'callback' || !login.takesCode)
    await api.call('POST', `${path}/fallback`, Session, { body: { method: 'callback' } });
  print(await pageOf(api, path));
  note('Open this page in any browser, and sign in. Then paste the whole address at which the browser cannot go on.');
  const code = await readSecret({ prompt: 'Address' });
  return api.call('POST', `${path}/code`, Session, { body: { code } });
}

/** @throws AppError why it is not shown */
async function pageOf(api: Api, path: string): Promise<string> {
  for await (const { status, login, notice, error } of sessionEvents(api, `${path}/events`)) {
    const failure = isFinal(status) ? error : login === null ? notice : null;
    if (failure) throw AppError.fromBody(failure);
    if (isFinal(status)) throw new AppError('session_finished', `The sign-in is ${status}.`);
    if (login?.method === 'callback' && login.takesCode && login.deviceCode) return login.deviceCode.url;
  }
  throw new AppError('controller_unreachable', 'The event stream ended before the page was shown.');
}

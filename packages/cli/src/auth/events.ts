/** The states of a sign-in, as the controller tells them. The caller stops by leaving its loop. */
import { Session } from '@airlock/contract/session';
import { silenceMs, type Api } from '../lib/api.js';

/** Each state as it comes, the present one first; ends with the sign-in. */
export async function* sessionEvents(api: Api, path: string): AsyncGenerator<Session> {
  for await (const { event, data } of await api.events('GET', path, { timeoutMs: silenceMs })) {
    if (event === 'session') yield Session.parse(JSON.parse(data));
  }
}

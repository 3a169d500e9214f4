/** What is run for each way to sign in. Pure. */
import type { LoginMethod } from '../guest.js';
import type { ProviderLogin } from './facts.js';

/** null where the CLI has no such way. */
export function commandFor(login: ProviderLogin, method: LoginMethod): Pick<ProviderLogin, 'argv' | 'env'> | null {
  if (method === 'device_code') return login.deviceCode;
  return method === 'callback' && login.callback !== true ? null : login;
}

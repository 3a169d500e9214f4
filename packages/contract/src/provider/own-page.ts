/** Whether an address that a guest shows may be shown as a link. Pure. */
import type { ProviderLogin } from './facts.js';

/** True for https at one of the provider's own hosts, at its usual port, without a user's name. */
export function isOwnPage({ hosts }: Pick<ProviderLogin, 'hosts'>, address: string): boolean {
  if (!/^[\x21-\x7e]+$/.test(address) || !URL.canParse(address)) return false;
  const { protocol, hostname, port, username, password } = new URL(address);
  return protocol === 'https:' && hosts.includes(hostname) && [port, username, password].every((part) => part === '');
}

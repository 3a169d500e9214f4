/** The target of a proxy request: parsed once, strictly, and judged by the egress policy. Pure. */
import { isIP } from 'node:net';
import { AppError } from '@airlock/contract/errors';
import { isLocalName, isPublicAddress } from './address.js';

export interface Target {
  /** As a URL parser understands it: lower case, no final dot, IPv4 in dotted form, IPv6 without brackets. */
  host: string;
  port: number;
}

/**
 * The target of `CONNECT host:port`, or of a request with an absolute `http://` URL.
 * @throws AppError invalid_request for anything that two parsers could understand differently.
 */
export function parseTarget(method: string, url: string): Target {
  const plain = method === 'CONNECT' ? `http://${url}` : url;
  const form = /^http:\/\/(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?(?:[/?].*)?$/i.exec(plain);
  const isConnect = method === 'CONNECT';
  if (!form || (isConnect && (form[2] === undefined || /[/?]/.test(url))) || !URL.canParse(plain)) {
    throw new AppError(
      'invalid_request',
      `The egress gateway does not understand ${isConnect ? 'this CONNECT target' : 'this request target'}.`,
      { hint: 'Expected CONNECT host:port, or an absolute http:// URL without user name.' },
    );
  }
  // The URL parser turns 0x7f.1, 2130706433 and 0177.0.0.1 into 127.0.0.1.
  const host = new URL(plain).hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  return { host, port: Number(form[2] ?? 80) };
}

/** Web ports, and the unprivileged ones that APIs are sometimes found on: no mail, no remote login, no file sharing. */
function isAllowedPort(port: number): boolean {
  return port === 80 || port === 443 || (port >= 1024 && port <= 65535);
}

/**
 * Refuses a target that the policy forbids by its name or literal address.
 * @throws AppError egress_refused
 */
export function checkTarget({ host, port }: Target): void {
  if (!isAllowedPort(port)) throw refused(host, port, 'only ports 80, 443 and from 1024 up are open');
  if (isIP(host) !== 0) checkAddress(host, host, port);
  else if (isLocalName(host)) throw refused(host, port, 'it is a name of this host or its private network');
}

/**
 * Refuses an address that `host` was found to have.
 * @throws AppError egress_refused
 */
export function checkAddress(address: string, host: string, port: number): void {
  if (!isPublicAddress(address)) throw refused(host, port, `${address} is not a public address`);
}

function refused(host: string, port: number, reason: string): AppError {
  return new AppError('egress_refused', `The egress gateway refuses ${host}:${port}: ${reason}.`);
}

/** True when `host` is listed, exactly or by a `.suffix` (which does not match the bare domain). */
export function isListed(host: string, list: readonly string[]): boolean {
  return list.some((entry) => (entry.startsWith('.') ? host.endsWith(entry) : host === entry));
}

/** The target of a proxy request: parsed once, strictly, and judged by the egress policy. Pure. */
import { isIP } from 'node:net';
import { asException, isListed, isPrivateAddress, isPublicAddress, wayOut } from '@airlock/contract/address';
import { AppError } from '@airlock/contract/errors';
import { topLevelDomains } from './top-level-domains.js';

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
  const form = /^http:\/\/(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?([/?][^#]*)?$/i.exec(plain);
  const isConnect = method === 'CONNECT';
  if (!form || (isConnect && (form[2] === undefined || form[3] !== undefined)) || !URL.canParse(plain)) {
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

/** Path and query of an absolute URL that `parseTarget` understood, as they were written. */
export function pathOf(url: string): string {
  const path = /^http:\/\/[^/?]+(.*)$/i.exec(url)?.[1] ?? '';
  return path.startsWith('/') ? path : `/${path}`;
}

/** `host`, in brackets where it is an IPv6 address. */
const bracketed = (host: string): string => (isIP(host) === 6 ? `[${host}]` : host);

/** `host:port`, as a CONNECT names it. */
export const hostAndPort = ({ host, port }: Target): string => `${bracketed(host)}:${port}`;

/** What stands in a `Host` header and an `http://` URL: without the port that is understood. */
export const authorityOf = (target: Target): string =>
  target.port === 80 ? bracketed(target.host) : hostAndPort(target);

/** True for a name that every resolver understands in the same way: no empty label, none too long; lower case, no final dot. */
function isWellFormedName(name: string): boolean {
  return name.length <= 253 && /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/.test(name);
}

/** True for a name that only means something on this host or in its private network: none of the public DNS. */
export function isLocalName(name: string): boolean {
  // A name without a dot, or under a domain that nobody else knows, is completed by search domains, or answered by a private server.
  return !name.includes('.') || !topLevelDomains.has(name.slice(name.lastIndexOf('.') + 1));
}

/** Web ports, and the unprivileged ones that APIs are sometimes found on: no mail, no remote login, no file sharing. */
function isAllowedPort(port: number): boolean {
  return port === 80 || port === 443 || (port >= 1024 && port <= 65535);
}

/**
 * Refuses a target that the policy forbids by its name or literal address, with exceptions for the hosts `allowed`.
 * @throws AppError egress_refused
 */
export function checkTarget({ host, port }: Target, allowed: readonly string[] = []): void {
  if (!isAllowedPort(port)) throw refused(host, port, 'only ports 80, 443 and from 1024 up are open');
  const isAllowed = isListed(host, allowed);
  if (isIP(host) !== 0) return isAllowed ? checkPrivate(host, host, port) : checkAddress(host, host, port);
  if (!isWellFormedName(host)) throw refused(host, port, 'it is no name of a host');
  if (isLocalName(host) && !isAllowed)
    throw refused(host, port, 'it is a name of a host or a private network alone', asException);
}

/**
 * Refuses an address that `host` was found to have.
 * @throws AppError egress_refused
 */
export function checkAddress(address: string, host: string, port: number): void {
  if (!isPublicAddress(address))
    throw refused(host, port, `${address} is not a public address`, wayOut(address, isIP(host) !== 0));
}

/**
 * The same for a host that is an exception: private networks are open to it, but neither loopback and link-local addresses nor those of
 * a cloud's host service.
 * @throws AppError egress_refused
 */
export function checkPrivate(address: string, host: string, port: number): void {
  if (isPublicAddress(address) || isPrivateAddress(address)) return;
  throw refused(host, port, `${address} is neither a public address nor one of a private network`);
}

/** Says why the gateway does not go to `host`; `hint`: what to do about it, where there is something. */
export function refused(host: string, port: number, reason: string, hint = ''): AppError {
  return new AppError('egress_refused', `The egress gateway refuses ${host}:${port}: ${reason}.`, { hint });
}

/** Decides which Host and Origin headers are this controller's own. Pure; stops DNS rebinding and cross-site requests. */
import { isIP } from 'node:net';

export interface Reach {
  /** Address and port that the controller listens on. */
  host: string;
  port: number;
  publicUrl: string | undefined;
}

const bracketed = (host: string): string => (isIP(host) === 6 ? `[${host}]` : host);
const isWildcard = (host: string): boolean => host === '0.0.0.0' || host === '::';

const isLoopback = (name: string): boolean => /^(localhost|127(\.\d+){3}|\[::1\])$/.test(name);

/** Whether it listens on loopback, or is published there by whoever passes it on, as a container's port. */
const isLocallyReached = ({ host, publicUrl }: Reach): boolean =>
  isWildcard(host) ||
  isLoopback(bracketed(host)) ||
  (publicUrl !== undefined && isLoopback(new URL(publicUrl).hostname));

/**
 * The origin of pages that this controller serves under this Host header, or undefined when the header is not one of its own
 * names. A controller on all addresses accepts any IP address too: rebinding needs a name.
 */
export function originOfHost(reach: Reach, hostHeader: string | undefined): string | undefined {
  const publicUrl = reach.publicUrl === undefined ? undefined : new URL(reach.publicUrl);
  // A port that is understood may be named: `airlock.example:443`.
  if (publicUrl && read(publicUrl.protocol, hostHeader)?.host === publicUrl.host) return publicUrl.origin;
  const url = read('http:', hostHeader);
  if (url === undefined) return undefined;
  const name = url.hostname;
  const isLocal = isLoopback(name);
  // `ssh -L 8080:localhost:4000` gives it any port; a page of another port there has another origin.
  if (isLocal && isLocallyReached(reach)) return url.origin;
  if (url.port !== (reach.port === 80 ? '' : String(reach.port))) return undefined;
  const known =
    isLocal ||
    name === bracketed(reach.host.toLowerCase()) ||
    (isWildcard(reach.host) && isIP(name.replace(/^\[|\]$/g, '')) !== 0);
  return known ? url.origin : undefined;
}

/** A Host header, by the port that is understood with this scheme; undefined for what is none, or could be read in two ways. */
function read(protocol: string, hostHeader: string | undefined): URL | undefined {
  const [, name = ''] = /^([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i.exec(hostHeader ?? '') ?? [];
  const text = `${protocol}//${hostHeader}`;
  if (name === '' || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  // No other notation of an address, such as 0x7f.1.
  return url.hostname === name.toLowerCase() ? url : undefined;
}

/** True when a page of this origin was served by this controller, reached by this Host header. */
export function isOwnOrigin(reach: Reach, hostHeader: string | undefined, origin: string): boolean {
  if (reach.publicUrl !== undefined && origin === new URL(reach.publicUrl).origin) return true;
  return origin === originOfHost(reach, hostHeader);
}

export const isHttps = (url: string | undefined): boolean => url?.startsWith('https:') ?? false;

/** The URL to give to people and programs. */
export function baseUrl(reach: Reach): string {
  if (reach.publicUrl !== undefined) return reach.publicUrl;
  const host = isWildcard(reach.host) ? '127.0.0.1' : bracketed(reach.host);
  return `http://${host}:${reach.port}`;
}

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

/**
 * The origin of pages that this controller serves under this Host header, or undefined when the header is not one of its own
 * names. A controller on all addresses accepts any IP address too: rebinding needs a name.
 */
export function originOfHost(reach: Reach, hostHeader: string | undefined): string | undefined {
  const host = hostHeader?.toLowerCase();
  if (host === undefined) return undefined;
  const publicUrl = reach.publicUrl === undefined ? undefined : new URL(reach.publicUrl);
  if (publicUrl && host === publicUrl.host) return publicUrl.origin;
  const suffix = reach.port === 80 ? '' : `:${reach.port}`;
  if (!host.endsWith(suffix)) return undefined;
  const name = suffix === '' ? host : host.slice(0, -suffix.length);
  const own = ['localhost', '127.0.0.1', '[::1]', bracketed(reach.host.toLowerCase())];
  const known = own.includes(name) || (isWildcard(reach.host) && isIP(name.replace(/^\[|\]$/g, '')) !== 0);
  return known ? `http://${host}` : undefined;
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

/** Tokens of the simulated provider: JWT-shaped, unsigned, and traceable by the canary that each one carries. */
import { randomBytes } from 'node:crypto';

const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/**
 * A JWT whose third part is not a signature but `<canary>-<label>-<random>`, so that a byte-wise search for the canary
 * finds every copy of the token. The canary must consist of base64url characters.
 */
export function canaryJwt(claims: Record<string, unknown>, canary: string, label: string): string {
  const mark = `${canary}-${label}-${randomBytes(12).toString('base64url')}`;
  // A base64url text is never 1 modulo 4 characters long; some readers check that.
  const signature = mark.length % 4 === 1 ? `${mark}A` : mark;
  return `${base64url({ alg: 'RS256', typ: 'JWT', kid: 'fake' })}.${base64url(claims)}.${signature}`;
}

/** An opaque token that carries the canary. */
export function canaryOpaque(prefix: string, canary: string): string {
  return `${prefix}_${canary}_${randomBytes(16).toString('base64url')}`;
}

/** Reads the end of a login out of its files. Pure; what cannot be read says nothing. */
import { z } from 'zod';
import { readDocument } from './credential-document.js';
import type { CredentialExpiry, FileTexts } from './facts.js';

const Claims = z.looseObject({ exp: z.number().positive() });

/** When a JSON web token ends, Unix epoch milliseconds, by its own word; null when it does not say. Nothing is verified. */
export function jwtExpiry(token: string): number | null {
  const payload = decodeBase64Url(token.split('.')[1] ?? '');
  const claims = readDocument(new Map([['claims', payload ?? '']]), 'claims', Claims).value;
  return claims === undefined ? null : claims.exp * 1000;
}

/** The expiry that `schema` finds in the file at `path`; null when the file is not there or has another form. */
export function expiryIn(
  files: FileTexts,
  path: string,
  schema: z.ZodType<CredentialExpiry | null>,
): CredentialExpiry | null {
  return readDocument(files, path, schema).value ?? null;
}

function decodeBase64Url(text: string): string | null {
  try {
    return atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  } catch {
    // Not base64: no token of this kind.
    return null;
  }
}

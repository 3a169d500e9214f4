/** Random secrets that are handed out once and stored as hashes only. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** 32 random bytes as 43 base64url characters. */
export const newSecret = (): string => randomBytes(32).toString('base64url');

/** SHA-256 in hex. Plain and fast is right here: the input has 256 random bits, so there is nothing to guess. */
export const hashSecret = (secret: string): string => createHash('sha256').update(secret).digest('hex');

/** Compares two hashes in a time that does not depend on where they differ. */
export function sameHash(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

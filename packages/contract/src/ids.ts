/** Identifiers: a prefix that tells the kind, then 80 random bits in Crockford base 32 (lower case). */
import { z } from 'zod';

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

export const SessionId = z.string().regex(/^ses_[0-9a-hjkmnp-tv-z]{16}$/);
export const VmId = z.string().regex(/^vm_[0-9a-hjkmnp-tv-z]{16}$/);
export const UserId = z.string().regex(/^usr_[0-9a-hjkmnp-tv-z]{16}$/);
/** A browser that is signed in to the controller. */
export const SignInId = z.string().regex(/^sgn_[0-9a-hjkmnp-tv-z]{16}$/);
/** A VM that was saved, to be loaded again. */
export const SavedId = z.string().regex(/^sav_[0-9a-hjkmnp-tv-z]{16}$/);
export const ImageId = z.string().regex(/^img_[0-9a-z]{6,32}$/);

/** A new identifier such as `ses_3h7q…`: `prefix`, an underscore and 16 random characters. */
export function newId(prefix: 'ses' | 'vm' | 'usr' | 'sgn' | 'sav' | 'flt'): string {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(16));
  return `${prefix}_${Array.from(bytes, (byte) => alphabet[byte & 31]).join('')}`;
}

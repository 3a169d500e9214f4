/** Finds in the text of a terminal what a login shows there, and knows a code when it is given one. Pure. */
import type { DeviceCodeLogin } from '@airlock/contract/provider/facts';

/**
 * What `pattern` finds in `text` (its first group where it has one), or null. A match at the very end does not count until
 * `isFinal`: the rest may still be on its way.
 */
function findWhole(text: string, pattern: RegExp, isFinal: boolean): string | null {
  const match = pattern.exec(text);
  if (match === null) return null;
  if (!isFinal && match.index + match[0].length >= text.length) return null;
  return match[1] ?? match[0];
}

/** Host of the sign-in page that the CLI opened, or null. */
export function findPageHost(text: string, pattern: RegExp, isFinal: boolean): string | null {
  const url = findWhole(text, pattern, isFinal);
  // The pattern may accept more than URLs; such a match is no page.
  return url !== null && URL.canParse(url) ? new URL(url).host : null;
}

/** The page and the code (where it takes one) that the person takes to another device; null until both stand there. */
export function findDeviceCode(
  text: string,
  patterns: Pick<DeviceCodeLogin, 'url' | 'code'>,
  isFinal: boolean,
): { url: string; code: string | null } | null {
  const url = findWhole(text, patterns.url, isFinal);
  const code = patterns.code && findWhole(text, patterns.code, isFinal);
  const isWhole = patterns.code === null || code !== null;
  return url !== null && isWhole && URL.canParse(url) ? { url, code } : null;
}

/** A code as its provider shows it, without the white space that copying adds; null when it does not look like one. */
export function acceptedCode(given: string, pattern: RegExp): string | null {
  const code = given.trim();
  // Anything but printable ASCII would be keys, not a code.
  const isWhole = new RegExp(`^(?:${pattern.source})$`, pattern.flags).test(code);
  return isWhole && /^[\x21-\x7e]+$/.test(code) ? code : null;
}

/** Finds the provider's sign-in page in what a CLI has shown. Pure. */

/**
 * Host of the page that `pattern` finds in `text`, or null. A match at the very end does not count until `isFinal`:
 * the rest of the address may still be on its way.
 */
export function findPageHost(text: string, pattern: RegExp, isFinal: boolean): string | null {
  const match = pattern.exec(text);
  if (match === null) return null;
  if (!isFinal && match.index + match[0].length >= text.length) return null;
  try {
    return new URL(match[0]).host;
  } catch {
    // The pattern accepts more than URLs; such a match is no page.
    return null;
  }
}

/**
 * Bounds of what another process says, above all a guest, which may have been taken over. One decision for all of it: what is too long
 * for its place is cut, a character that no row, terminal or page takes becomes U+FFFD; what no honest process sends is refused.
 */
import { z } from 'zod';

/** Bytes: of an answer of an agent or a runner; of one with a credential, which is also what an agent takes; of one line of a stream. */
export const answerBytes = { plain: 256 * 1024, bundle: 2 * 1024 * 1024, line: 128 * 1024 } as const;
/** Schemas of answers that are larger than others, and how many bytes of them are taken. */
export const largeAnswers = z.registry<{ bytes: number }>();
/** The last time, in Unix epoch milliseconds, that every program here and PostgreSQL writes in the same way: the end of the year 9999. */
export const latestMs = 253_402_300_799_999;
/** How deep JSON may nest. */
const maxDepth = 64;

/**
 * Control characters but line breaks and tabs, halves of characters, and what turns the direction of a text: PostgreSQL refuses NUL and
 * halves, a terminal obeys others, and a page shows an address backwards.
 */
export const unfit = /(?![\n\t])[\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069]/gu;

/** `text` without what is unfit to be stored or shown, at most `max` characters (UTF-16 units) of it; what was cut ends in an ellipsis. */
export function plainText(text: string, max: number): string {
  const cut = text.length > max ? `${text.slice(0, Math.max(max - 1, 0))}…`.slice(0, max) : text;
  return cut.replace(unfit, '\uFFFD');
}

/** A text for people that another process says, as `plainText` leaves it. Never refused: an older agent may say more. */
export const receivedText = (max: number): z.ZodString =>
  z
    .string()
    .overwrite((text) => plainText(text, max))
    .max(max);

type Json = z.infer<ReturnType<typeof z.json>>;

/** What an error's details may hold: characters in all and of one text, members of an array or object, and how deep they nest. */
const details = { characters: 32_768, text: 16_384, name: 64, members: 64, depth: 4 } as const;
/** What a number, or a member as such, counts for in characters. */
const memberCost = 8;

/** `found` as far as an error has room for it. */
export function plainDetails(found: Record<string, Json>): Record<string, Json> {
  let left: number = details.characters;
  function text(value: string, max: number): string {
    const plain = plainText(value, Math.min(max, left));
    left -= plain.length;
    return plain;
  }
  function plain(value: Json, depth: number): Json {
    left -= memberCost;
    if (typeof value === 'string') return text(value, details.text);
    if (typeof value !== 'object' || value === null) return value;
    if (depth === 0) return null;
    return Array.isArray(value) ? withRoom(value).map((inner) => plain(inner, depth - 1)) : members(value, depth);
  }
  const members = (value: Record<string, Json>, depth: number): Record<string, Json> =>
    Object.fromEntries(
      withRoom(Object.entries(value)).map(([name, inner]) => [text(name, details.name), plain(inner, depth - 1)]),
    );
  const withRoom = <T>(all: T[]): T[] => all.slice(0, Math.min(details.members, Math.max(left / memberCost, 0)));
  return members(found, details.depth);
}

/**
 * The value of a JSON text that another process sent.
 * @throws SyntaxError when it is no JSON, or nests deeper than 64: whoever walks it would run out of stack
 */
export function parseReceived(text: string): unknown {
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === '"') at = endOfString(text, at);
    else if (character === '[' || character === '{') depth += 1;
    else if (character === ']' || character === '}') depth -= 1;
    if (depth > maxDepth) throw new SyntaxError(`JSON that nests deeper than ${maxDepth}`);
  }
  return JSON.parse(text);
}

/** Where the string that begins at `start` ends; the end of the text when it does not. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '"') return at;
  }
  return text.length;
}

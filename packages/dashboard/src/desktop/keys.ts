/** Characters and keys as the keyboard of the desktop has them: what it types by a key, and what has to be pasted instead. Pure. */
import { keyboardCharacters } from '@airlock/contract/desktop';

/** Keysyms of keys that type no character, by the names of `KeyboardEvent.key`, which are those of `code`, too. */
const named: Readonly<Record<string, number>> = {
  Enter: 0xff0d,
  Tab: 0xff09,
  Escape: 0xff1b,
  Backspace: 0xff08,
  Delete: 0xffff,
  ArrowLeft: 0xff51,
  ArrowUp: 0xff52,
  ArrowRight: 0xff53,
  ArrowDown: 0xff54,
  Home: 0xff50,
  End: 0xff57,
};

/** Of the layout us(altgr-intl) as well, with a keysym of their own. */
const special: Readonly<Record<string, number>> = {
  ...{ '\n': 0xff0d, '\t': 0xff09, '€': 0x20ac, œ: 0x13bd, Œ: 0x13bc },
  ...{ '‘': 0x0ad0, '’': 0x0ad1, '“': 0x0ad2, '”': 0x0ad3 },
};

/** The keysym of a named key of `KeyboardEvent.key`, or null when the key types a character. */
export const namedKeysym = (key: string): number | null => named[key] ?? null;

/** The keysym by which the desktop's keyboard types this one character; null when it cannot. */
export function characterKeysym(character: string): number | null {
  const keysym = special[character];
  if (keysym !== undefined) return keysym;
  return /^[ -~]$/.test(character) || keyboardCharacters.includes(character)
    ? (character.codePointAt(0) ?? null)
    : null;
}

/** Whether each character of the text is on the desktop's keyboard. */
export const isTypable = (text: string): boolean =>
  Array.from(text).every((character) => characterKeysym(character) !== null);

/** What is typed: a key by its keysym, or one character that has none. */
export type Stroke = { keysym: number } | { text: string };

const strokeOf = (character: string): Stroke => {
  const keysym = characterKeysym(character);
  return keysym === null ? { text: character } : { keysym };
};

/** The strokes that turn the text `before` into `after` when typed at its end: backspaces, then characters. */
export function strokesBetween(before: string, after: string): Stroke[] {
  const old = Array.from(plainPunctuation(before));
  const now = Array.from(plainPunctuation(after));
  let same = 0;
  while (same < old.length && same < now.length && old[same] === now[same]) same += 1;
  const backspaces = old.slice(same).map(() => ({ keysym: 0xff08 }));
  return [...backspaces, ...now.slice(same).map(strokeOf)];
}

const smart: Readonly<Record<string, string>> = {
  ...{ '“': '"', '”': '"', '„': '"', '‘': "'", '’': "'", '‚': "'" },
  ...{ '—': '--', '…': '...' },
};

/** A phone's keyboard turns what was typed into typography ("smart punctuation"): no password and no command has that. */
export const plainPunctuation = (text: string): string =>
  text.replace(/[“”„‘’‚—…]/g, (character) => smart[character] ?? character);

const shifted: Readonly<Record<string, string>> = {
  ...{ '1': '!', '2': '@', '3': '#', '4': '$', '5': '%', '6': '^', '7': '&', '8': '*', '9': '(', '0': ')' },
  ...{ '-': '_', '=': '+', '[': '{', ']': '}', '\\': '|', ';': ':', "'": '"', '`': '~', ',': '<', '.': '>', '/': '?' },
};
const unshifted: Readonly<Record<string, string>> = {
  ...{ Minus: '-', Equal: '=', BracketLeft: '[', BracketRight: ']', Backslash: '\\', Semicolon: ';', Quote: "'" },
  ...{ Backquote: '`', Comma: ',', Period: '.', Slash: '/', Space: ' ', NumpadAdd: '+', NumpadSubtract: '-' },
  ...{ NumpadMultiply: '*', NumpadDivide: '/', NumpadDecimal: '.', IntlBackslash: '\\' },
};

/** What the physical key (`KeyboardEvent.code`) types on a US keyboard, as a character; null for a key that types none. */
export function usCharacter(code: string, { shift, capsLock }: { shift: boolean; capsLock: boolean }): string | null {
  const letter = /^Key([A-Z])$/.exec(code)?.[1];
  if (letter !== undefined) return shift === capsLock ? letter.toLowerCase() : letter;
  const digit = /^(Digit|Numpad)([0-9])$/.exec(code);
  const plain = digit?.[2] ?? unshifted[code];
  if (plain === undefined) return null;
  return shift && !code.startsWith('Numpad') ? (shifted[plain] ?? plain) : plain;
}

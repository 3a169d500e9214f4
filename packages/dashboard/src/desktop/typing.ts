/** Turns what a soft keyboard did to a text field into X11 keys. */

/** Keysyms of keys that type no character. */
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

/** The keysym of a named key of `KeyboardEvent.key`, or null when the key types a character. */
export const namedKeysym = (key: string): number | null => named[key] ?? null;

/** The keysym of one character. Latin-1 stands for itself, all else by the Unicode rule of X11. */
export function characterKeysym(character: string): number {
  if (character === '\n') return 0xff0d;
  if (character === '\t') return 0xff09;
  const codePoint = character.codePointAt(0) ?? 0;
  return codePoint >= 0x20 && codePoint <= 0xff ? codePoint : 0x01000000 + codePoint;
}

/** The keys that turn the text `before` into `after` when typed at its end: backspaces, then characters. */
export function keysBetween(before: string, after: string): number[] {
  const old = Array.from(before);
  const now = Array.from(after);
  let same = 0;
  while (same < old.length && same < now.length && old[same] === now[same]) same += 1;
  const backspaces = old.slice(same).map(() => 0xff08);
  return [...backspaces, ...now.slice(same).map(characterKeysym)];
}

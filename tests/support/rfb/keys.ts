/** X11 keysyms, which RFB sends for keys. */

const named = {
  Enter: 0xff0d,
  Tab: 0xff09,
  Backspace: 0xff08,
  Escape: 0xff1b,
  Delete: 0xffff,
  Insert: 0xff63,
  Home: 0xff50,
  End: 0xff57,
  ArrowLeft: 0xff51,
  ArrowUp: 0xff52,
  ArrowRight: 0xff53,
  ArrowDown: 0xff54,
  Shift: 0xffe1,
  Control: 0xffe3,
  Alt: 0xffe9,
  F4: 0xffc1,
} as const;

export type KeyName = keyof typeof named;

/** The keysym of a named key or of one character. @throws RangeError for anything else. */
export function keysymOf(key: string): number {
  if (key in named) return named[key as KeyName];
  if (key === '\n') return named.Enter;
  if (key === '\t') return named.Tab;
  const point = key.codePointAt(0);
  if (point === undefined || String.fromCodePoint(point) !== key || point < 0x20) {
    throw new RangeError(`${JSON.stringify(key)} is neither a key name nor one character`);
  }
  // Latin-1 characters are their own keysyms; all others carry their code point behind a mark.
  return point < 0x100 ? point : 0x01000000 + point;
}

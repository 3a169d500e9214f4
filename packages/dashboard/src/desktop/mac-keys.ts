/** A Mac's keyboard before a desktop that is no Mac: Cmd is what Ctrl is there, and Option makes characters or goes by words. Pure. */
import { characterKeysym, namedKeysym, usCharacter } from './keys.js';

/** A key, and what is held for it. */
export interface Chord {
  held: readonly number[];
  keysym: number;
}

const control = 0xffe3;
const shift = 0xffe1;
const insert = 0xff63;
const home = 0xff50;
const end = 0xff57;

/**
 * Copy and cut by the chords that browsers know as well, and that do nothing in a terminal: Ctrl+C would end what runs there, and Ctrl+X
 * would wait for a second key.
 */
const ofEditing: Readonly<Record<string, Chord>> = {
  c: { held: [control], keysym: insert },
  x: { held: [shift], keysym: 0xffff },
};
/** As Cmd moves on a Mac. */
const ofCmd: Readonly<Record<string, Chord>> = {
  ArrowLeft: { held: [], keysym: home },
  ArrowRight: { held: [], keysym: end },
  ArrowUp: { held: [control], keysym: home },
  ArrowDown: { held: [control], keysym: end },
};
const byWords = ['ArrowLeft', 'ArrowRight', 'Backspace', 'Delete'];
const modifiers = ['Shift', 'Control', 'Alt', 'Meta'];

export type MacEvent = Pick<KeyboardEvent, 'key' | 'code' | 'shiftKey' | 'ctrlKey' | 'altKey' | 'metaKey'>;

/** What a key of a Mac is to the desktop; `nothing` for one that is only a part of another, null for one that is as everywhere. */
export function chordOfMac(event: MacEvent): Chord | 'nothing' | null {
  const { key, metaKey, altKey, ctrlKey, shiftKey } = event;
  if (key === 'Meta' || key === 'Alt') return 'nothing';
  if (metaKey) {
    // What is held comes with the chord itself: a Mac tells nothing of a key that is released while Cmd is held.
    if (modifiers.includes(key)) return 'nothing';
    const chord = withCmd(event);
    return chord && { ...chord, held: shiftKey ? [...chord.held, shift] : chord.held };
  }
  const keysym = altKey && !ctrlKey && byWords.includes(key) ? namedKeysym(key) : null;
  return keysym === null ? null : { held: [control], keysym };
}

function withCmd({ key, code, shiftKey }: MacEvent): Chord | null {
  const isLatin = /^[ -~]$/.test(key);
  const character = isLatin ? key.toLowerCase() : usCharacter(code, { shift: false, capsLock: false });
  if (character === null) {
    const keysym = namedKeysym(key);
    return ofCmd[key] ?? (keysym === null ? null : { held: [control], keysym });
  }
  const special = shiftKey ? undefined : ofEditing[character];
  // The desktop would let go of Shift for a small letter.
  const keysym = characterKeysym(shiftKey ? character.toUpperCase() : character);
  return special ?? (keysym === null ? null : { held: [control], keysym });
}

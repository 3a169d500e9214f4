/**
 * Types a text on the desktop by keys, so that it is on no clipboard: characters that the keyboard has by their own keys, the others by
 * keys that mean nothing and are given these characters for a while.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '@airlock/contract/errors';
import { changeKeyboardMapping, fakeKey, getInputFocus, getKeyboardMapping, keycodes } from '../x11/requests.js';
import type { XDisplay } from '../x11/x11.js';
import { heldModifiers, keys } from './chord.js';

export interface Typing {
  /**
   * One text after the other. Resolves once the X server has passed all of its keys on; nothing says whether a program took them.
   * @throws AppError invalid_request for what no key types, payload_too_large for more characters than there are keys for,
   * desktop_not_ready when too many texts wait; Error when the X server is gone
   */
  type(text: string): Promise<void>;
}

/**
 * Milliseconds that a key keeps what it was given. Programs ask what a key means when they come to it: one that is busy must not find it
 * changed.
 */
const usuallyKeptMs = 10_000;
/** Texts at a time, as with pastes. */
const mostWaiting = 2;

interface Stroke {
  keycode: number;
  /** Keycodes of the modifiers. */
  held: readonly number[];
}
interface Layout {
  /** By keysym: what the keyboard types alone, or with Shift. */
  strokes: Map<number, Stroke>;
  /** Keycodes that mean nothing. */
  spare: number[];
}

export function createTyping(display: XDisplay, keptMs = usuallyKeptMs): Typing {
  /** Keycodes that have characters for a while: until then (`performance.now()`). */
  const given = new Map<number, number>();
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  let isTyping = false;

  function takeBack(): void {
    for (const [keycode, until] of given) {
      if (until > performance.now() || !display.isOpen()) continue;
      display.send(changeKeyboardMapping(keycode, 0, 0));
      given.delete(keycode);
    }
  }
  /** The keys for these keysyms, once there are enough. @throws AppError payload_too_large */
  async function strokesFor(keysyms: readonly number[]): Promise<Stroke[]> {
    takeBack();
    // Before the answer: what is taken back meanwhile is not spare in it yet.
    const untils = [...given.values()];
    const { strokes, spare } = layoutOf(await display.ask(getKeyboardMapping()));
    const lacking = [...new Set(keysyms)].filter((keysym) => !strokes.has(keysym));
    if (lacking.length > 2 * spare.length) {
      if (lacking.length > 2 * (spare.length + untils.length) || untils.length === 0) throw tooMany(lacking.length);
      await delay(Math.max(Math.min(...untils) - performance.now(), 0));
      return strokesFor(keysyms);
    }
    for (const keycode of spare.slice(0, Math.ceil(lacking.length / 2))) {
      const [plain = 0, shifted = plain] = lacking.splice(0, 2);
      display.send(changeKeyboardMapping(keycode, plain, shifted));
      given.set(keycode, 0);
      strokes.set(shifted, { keycode, held: [keys.shift] }).set(plain, { keycode, held: [] });
    }
    return keysyms.flatMap((keysym) => strokes.get(keysym) ?? []);
  }
  async function type(text: string): Promise<void> {
    isTyping = true;
    try {
      const strokes = await strokesFor(Array.from(text, keysymOf));
      await press(display, strokes);
      for (const { keycode } of strokes) if (given.has(keycode)) given.set(keycode, performance.now() + keptMs);
    } finally {
      isTyping = false;
      // Not while a text is typed: its keys would go before they are pressed.
      setTimeout(() => isTyping || takeBack(), keptMs + 1).unref();
    }
  }

  return {
    type: (text) => {
      if (waiting >= mostWaiting)
        throw new AppError('desktop_not_ready', `The desktop has not taken the ${mostWaiting} texts before yet.`);
      waiting += 1;
      const turn = last.then(async () => type(text)).finally(() => (waiting -= 1));
      last = turn.catch(() => undefined);
      return turn;
    },
  };
}

/** As if by a hand that holds nothing else. */
async function press(display: XDisplay, strokes: readonly Stroke[]): Promise<void> {
  const { opcode } = await display.extension('XTEST');
  const key = (keycode: number, isDown: boolean): void => display.send(fakeKey(opcode, keycode, isDown));
  for (const keycode of await heldModifiers(display)) key(keycode, false);
  for (const { keycode, held } of strokes) {
    for (const modifier of held) key(modifier, true);
    key(keycode, true);
    key(keycode, false);
    for (const modifier of held.toReversed()) key(modifier, false);
  }
  await display.ask(getInputFocus());
}

/** Of keys other than characters. */
const named: Readonly<Record<string, number>> = { '\n': 0xff0d, '\t': 0xff09 };

/** X11 has numbers of its own for Latin-1; all others are those of Unicode behind a mark. @throws AppError invalid_request */
function keysymOf(character: string): number {
  const keysym = named[character];
  if (keysym !== undefined) return keysym;
  if (/[\p{Cc}\p{Cs}]/u.test(character))
    throw new AppError(
      'invalid_request',
      'The text has a control character, or half of a character, which no key types.',
    );
  const code = character.codePointAt(0) ?? 0;
  return code < 0x100 ? code : 0x100_0000 + code;
}

/**
 * The levels of a key, by their places in what X11 tells of it: alone, with Shift, with AltGr, with both. A character that is on some level
 * gets no key of its own: x11vnc would go on pressing that after it is taken back.
 */
const levels: readonly (readonly [number, readonly number[]])[] = [
  [0, []],
  [1, [keys.shift]],
  [4, [keys.altGr]],
  [5, [keys.shift, keys.altGr]],
];

/** `answer`: to GetKeyboardMapping. */
function layoutOf(answer: Buffer | null): Layout {
  const layout: Layout = { strokes: new Map(), spare: [] };
  const perKey = answer?.readUInt8(1) ?? 0;
  for (let keycode = keycodes.first; answer && keycode <= keycodes.last; keycode += 1) {
    const at = 32 + 4 * perKey * (keycode - keycodes.first);
    const keysyms = Array.from({ length: perKey }, (_, level) => answer.readUInt32LE(at + 4 * level));
    if (keysyms.every((keysym) => keysym === 0)) layout.spare.push(keycode);
    for (const [level, held] of levels) {
      const keysym = keysyms[level] ?? 0;
      if (keysym !== 0 && !layout.strokes.has(keysym)) layout.strokes.set(keysym, { keycode, held });
    }
  }
  return layout;
}

const tooMany = (wanted: number): AppError =>
  new AppError(
    'payload_too_large',
    `The text has ${wanted} different characters that the keyboard of the desktop lacks, more than it has keys for.`,
    { hint: 'Type it in parts.' },
  );

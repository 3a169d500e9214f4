/**
 * All that a person does at the keyboard of a desktop, in its order: keys go at once, and wait while a text is pasted, which takes a
 * moment. Characters that wait for their turn are pasted together.
 */
import { AppError } from '@airlock/contract/errors';
import { clipboardCharacters } from '@airlock/contract/desktop';

export interface Key {
  keysym: number;
  code: string | null;
  down: boolean;
}

/** How a text gets there: pasted; pasted so that nobody can paste it again; by keys, on no clipboard. */
export type TextWay = 'paste' | 'masked' | 'keys';

/** The two ways to the desktop, one of which may be faster. */
export interface Wire {
  key(key: Key): void;
  /** Resolves to true once the desktop has done the keys before; false when it is not there. */
  reached(): Promise<boolean>;
  /** Resolves to whether a program there took the text, as far as is known. @throws AppError; whatever, once `signal` has fired */
  paste(text: string, way: TextWay, signal: AbortSignal): Promise<boolean>;
}

/** How a paste went. `problem` is null when a program took it. */
export type Pasted = { problem: AppError | null };

interface Text {
  text: string;
  way: TextWay;
  typed: boolean;
  done: ((pasted: Pasted) => void)[];
}
type Item = { key: Key } | Text;
const isTyped = (item: Item | undefined): item is Text => item !== undefined && 'text' in item && item.typed;

export interface InputQueue {
  key(key: Key): void;
  /** Presses and releases it, with these held. */
  press(keysym: number, modifiers?: readonly number[]): void;
  paste(text: string, way: TextWay): Promise<Pasted>;
  /** Resolves once the desktop has done all that was typed before. */
  reached(): Promise<Pasted>;
  /** Characters that the desktop's keyboard does not have. */
  type(text: string): Promise<Pasted>;
  /** Characters wait to be pasted that the keyboard does not have: any that is typed now goes with them. */
  hasCharacters(): boolean;
  /** `KeyboardEvent.code` of what is held, other than modifiers. */
  heldCodes(): string[];
  /** Releases whatever is held, as when the keyboard goes elsewhere. */
  releaseAll(): void;
  /** The desktop is gone, and with it what was held there and what waits. */
  reset(): void;
}

/** Shift, Control, Alt, Meta and Super, and what AltGr is. */
const isModifier = (keysym: number): boolean =>
  (keysym >= 0xffe1 && keysym <= 0xffee && keysym !== 0xffe5) || keysym === 0xfe03 || keysym === 0xff7e;

/** Characters that are typed one after the other are pasted together. */
function append(waiting: Item[], item: Item): void {
  const last = waiting.at(-1);
  if (isTyped(last) && isTyped(item)) {
    last.text += item.text;
    last.done.push(...item.done);
  } else waiting.push(item);
}

function tell(item: Item, pasted: Pasted): void {
  if ('done' in item) for (const done of item.done) done(pasted);
}

/** Pressed in this order, and released in the other. */
const chordOf = (keysyms: readonly number[]): Key[] => [
  ...keysyms.map((keysym) => ({ keysym, code: null, down: true })),
  ...keysyms.toReversed().map((keysym) => ({ keysym, code: null, down: false })),
];

const codesOf = (keys: readonly Key[]): string[] =>
  keys.flatMap(({ keysym, code }) => (code === null || isModifier(keysym) ? [] : [code]));

export function createInputQueue(wire: Wire): InputQueue {
  const waiting: Item[] = [];
  const held = new Map<number, Key>();
  let busy = false;
  /** Aborted when the desktop is gone: nobody waits any more for what was under way. */
  let gone = new AbortController();

  function send(key: Key): void {
    if (key.down) held.set(key.keysym, key);
    else held.delete(key.keysym);
    wire.key(key);
  }

  /** A chord of its own is pressed in the desktop: what the person holds would be in it. */
  async function pasteFree(text: string, way: TextWay): Promise<Pasted> {
    const modifiers = [...held.values()].filter(({ keysym }) => isModifier(keysym));
    for (const key of modifiers) wire.key({ ...key, down: false });
    const pasted = await paste(wire, { text, way, signal: gone.signal });
    // Not those that went with the connection.
    for (const key of modifiers) if (held.has(key.keysym)) wire.key(key);
    return pasted;
  }

  async function drain(): Promise<void> {
    busy = true;
    for (let item = waiting.shift(); item; item = waiting.shift()) {
      if ('key' in item) send(item.key);
      else tell(item, await pasteFree(item.text, item.way));
    }
    busy = false;
  }

  function add(item: Item): void {
    append(waiting, item);
    if (!busy) void drain();
  }

  function key(one: Key): void {
    if (busy) add({ key: one });
    else send(one);
  }

  const put = (text: string, how: { way: TextWay; typed: boolean }): Promise<Pasted> =>
    new Promise((resolve) => add({ text, ...how, done: [resolve] }));
  return {
    key,
    press: (keysym, modifiers = []) => chordOf([...modifiers, keysym]).forEach(key),
    paste: (text, way) => put(text, { way, typed: false }),
    reached: () => put('', { way: 'paste', typed: false }),
    // What is typed may be a password: it does not stay in the clipboard there.
    type: (text) => put(text, { way: 'masked', typed: true }),
    hasCharacters: () => isTyped(waiting.at(-1)),
    heldCodes: () => codesOf([...held.values()]),
    releaseAll() {
      for (const one of held.values()) key({ ...one, down: false });
    },
    reset() {
      held.clear();
      gone.abort();
      gone = new AbortController();
      for (const item of waiting.splice(0)) tell(item, { problem: dropped() });
    },
  };
}

interface Paste {
  /** Empty: only what was typed before is waited for. */
  text: string;
  way: TextWay;
  signal: AbortSignal;
}

async function paste(wire: Wire, { text, way, signal }: Paste): Promise<Pasted> {
  if (text.length > clipboardCharacters) return { problem: tooLong(text.length) };
  if (!(await wire.reached())) return { problem: dropped() };
  if (text === '') return { problem: null };
  return wire.paste(text, way, signal).then(
    (fetched) => ({ problem: fetched ? null : notFetched() }),
    (error: unknown) => ({ problem: signal.aborted ? dropped() : AppError.from(error) }),
  );
}

const tooLong = (length: number): AppError =>
  new AppError(
    'payload_too_large',
    `The text has ${length.toLocaleString('en')} characters, and the desktop takes ${clipboardCharacters.toLocaleString('en')} at a time.`,
    { hint: 'Paste it in parts.' },
  );

const notFetched = (): AppError =>
  new AppError('desktop_not_ready', 'Nothing on the desktop took the text.', {
    hint: 'Click into a field there first, or into its terminal.',
  });

const dropped = (): AppError =>
  new AppError('desktop_not_ready', 'The connection to the desktop dropped before the text was known to be there.', {
    hint: 'Look at the desktop when it is back, and try again.',
  });

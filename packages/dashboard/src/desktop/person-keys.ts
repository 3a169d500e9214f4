/**
 * The person's keyboard before noVNC sees it. Keys that the desktop has go on to noVNC as they are; a paste, characters that its
 * keyboard does not have, what an input method makes of a key, and the way out of the desktop are done here.
 */
import { characterKeysym, namedKeysym, usCharacter } from './keys.js';
import type { InputQueue } from './input-queue.js';
import { chordOfMac } from './mac-keys.js';

/** What a person does that is more than a key. */
export interface PersonKeys {
  /** See `textOf`. */
  onPaste(text: string): Promise<void>;
  /** Characters that the desktop's keyboard does not have, or that are typed while some of these wait. */
  onType(text: string): Promise<void>;
  /** An input method takes the keys: what it makes of them does not reach the page. */
  onInputMethod(): void;
  onLeave(): void;
}

/** The way out of the desktop by the keyboard: back to what stands before it. */
export const leaveKeys = 'Shift+F6';

interface Parts {
  /** Holds the canvas and `catcher`, and nothing else that takes keys: what is typed or pasted in a dialog is not for the desktop. */
  screen: HTMLElement;
  /** An editable field: browsers hand the clipboard over only there, all of them. */
  catcher: HTMLTextAreaElement;
  queue: InputQueue;
  focus(): void;
}

/** Listens until the returned function is called. */
export function watchPersonKeys(parts: Parts, does: PersonKeys): () => void {
  const { screen, catcher, queue, focus } = parts;
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.target === catcher || event.isComposing) return;
    const act = actOf(event, queue);
    if (act === null) return;
    event.stopPropagation();
    if (event.key === 'Meta' && isApple()) releaseKeys(event.target, queue);
    if (act.name === 'paste') {
      // The browser pastes where the keyboard is when this event has ended.
      catcher.value = '';
      catcher.focus({ preventScroll: true });
      return;
    }
    event.preventDefault();
    if (act.name === 'leave') {
      queue.releaseAll();
      does.onLeave();
    } else if (act.name === 'type') void does.onType(act.text);
    else if (act.name === 'press') queue.press(act.keysym, act.held);
    if (isOfInputMethod(event)) does.onInputMethod();
  };
  const onPaste = (event: ClipboardEvent): void => {
    event.preventDefault();
    focus();
    void does.onPaste(textOf(event.clipboardData));
  };
  /** No paste came of the chord: the keyboard goes back, with nothing held. */
  const onCatcherKeyUp = (): void => {
    queue.releaseAll();
    focus();
  };
  screen.addEventListener('keydown', onKeyDown, { capture: true });
  screen.addEventListener('paste', onPaste);
  catcher.addEventListener('keyup', onCatcherKeyUp);
  return () => {
    screen.removeEventListener('keydown', onKeyDown, { capture: true });
    screen.removeEventListener('paste', onPaste);
    catcher.removeEventListener('keyup', onCatcherKeyUp);
  };
}

/** The text of a clipboard, with the line ends of the desktop; empty when there is none in it. */
export const textOf = (data: DataTransfer | null): string =>
  (data?.getData('text/plain') ?? '').replace(/\r\n?/g, '\n');

type Act =
  | { name: 'paste' | 'leave' | 'nothing' }
  | { name: 'type'; text: string }
  | { name: 'press'; keysym: number; held?: readonly number[] };

/** What a key is besides a key for noVNC; null when it is none. */
export function actOf(event: KeyboardEvent, queue: Pick<InputQueue, 'hasCharacters'>): Act | null {
  if (isPasteChord(event)) return { name: 'paste' };
  if (isLeaveChord(event)) return { name: 'leave' };
  const chord = isApple() ? chordOfMac(event) : null;
  if (chord !== null) return chord === 'nothing' ? { name: 'nothing' } : { name: 'press', ...chord };
  if (isOfInputMethod(event)) return byCode(event);
  if (Array.from(event.key).length !== 1) return null;
  const keysym = characterKeysym(event.key);
  // Ctrl and a letter of another script mean the key that the letter is on.
  if (isChord(event)) return keysym === null || keysym > 0x7e ? byCode(event) : null;
  return keysym === null || queue.hasCharacters() ? { name: 'type', text: event.key } : null;
}

/** A Mac does not tell of a key that is released while Cmd is held: noVNC is told of it here. */
function releaseKeys(target: EventTarget | null, { heldCodes }: InputQueue): void {
  for (const code of heldCodes()) target?.dispatchEvent(new KeyboardEvent('keyup', { code, bubbles: true }));
}

const isLeaveChord = ({ key, shiftKey, ctrlKey, metaKey, altKey }: KeyboardEvent): boolean =>
  key === 'F6' && shiftKey && !ctrlKey && !metaKey && !altKey;

/** AltGr, which Windows tells as Ctrl and Alt, makes characters; so does the Mac's Option. */
function isChord(event: KeyboardEvent): boolean {
  const { ctrlKey, metaKey, altKey } = event;
  if (event.getModifierState('AltGraph') || (ctrlKey && altKey)) return false;
  return ctrlKey || metaKey || (altKey && !isApple());
}

/** An input method says `Process`, or nothing, where the key would be; `code` is still there. */
const isOfInputMethod = ({ key, keyCode }: KeyboardEvent): boolean =>
  key === 'Process' || (keyCode === 229 && key === 'Unidentified');

function byCode(event: KeyboardEvent): Act {
  const { code, shiftKey: shift } = event;
  const character = usCharacter(code, { shift, capsLock: event.getModifierState('CapsLock') });
  const keysym = character === null ? namedKeysym(code) : characterKeysym(character);
  return keysym === null ? { name: 'nothing' } : { name: 'press', keysym };
}

/** Ctrl+V and Ctrl+Shift+V, on a Mac with Cmd; Shift+Insert. Whatever the script that the V is on. */
function isPasteChord({ key, code, ctrlKey, metaKey, altKey, shiftKey }: KeyboardEvent): boolean {
  if (altKey) return false;
  if (key === 'Insert') return shiftKey && !ctrlKey && !metaKey;
  const isLatin = /^[a-z]$/i.test(key);
  return (ctrlKey || metaKey) && (isLatin ? key.toLowerCase() === 'v' : code === 'KeyV');
}

export const isApple = (): boolean => /Mac|iPhone|iPad/.test(navigator.platform);

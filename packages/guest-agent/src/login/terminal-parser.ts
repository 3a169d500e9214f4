/**
 * Splits a terminal's input stream into what it means: printable characters, control characters and escape sequences
 * (ECMA-48). Keeps its place between chunks, so a sequence may be cut anywhere.
 */
export interface TerminalEvents {
  print(character: string): void;
  /** A control character such as \r or \n. */
  control(character: string): void;
  /** ESC [ parameters final. */
  csi(parameters: string, final: string): void;
  /** ESC ] text, ended by BEL or ST. */
  osc(text: string): void;
}

type State = 'ground' | 'escape' | 'intermediate' | 'csi' | 'osc' | 'string' | 'string_escape';

/** A sequence that grows longer than this is not one: the terminal would hang on it. */
const sequenceLimit = 16 * 1024;

const inRange = (character: string, low: number, high: number): boolean => {
  const code = character.charCodeAt(0);
  return code >= low && code <= high;
};

/** The function takes the next chunk and calls `events` for what it completes. */
export function createTerminalParser(events: TerminalEvents): (chunk: string) => void {
  let state: State = 'ground';
  let collected = '';
  let isOsc = false;

  function enter(next: State): void {
    state = next;
    collected = '';
  }

  function escape(character: string): void {
    if (character === '[') enter('csi');
    else if (character === ']') enter('osc');
    else if ('PX^_'.includes(character)) enter('string');
    else if (inRange(character, 0x20, 0x2f)) enter('intermediate');
    else enter('ground');
  }

  function endString(): void {
    if (isOsc) events.osc(collected);
    enter('ground');
  }

  function inString(character: string): void {
    if (character === '\x1b') {
      isOsc = state === 'osc';
      state = 'string_escape';
    } else if (character === '\x07' && state === 'osc') {
      isOsc = true;
      endString();
    } else if (character === '\x9c') {
      isOsc = state === 'osc';
      endString();
    } else if ((collected += character).length > sequenceLimit) enter('ground');
  }

  function inCsi(character: string): void {
    if (inRange(character, 0x40, 0x7e)) {
      const parameters = collected;
      enter('ground');
      events.csi(parameters, character);
    } else if ((collected += character).length > sequenceLimit) enter('ground');
  }

  /** Characters that act inside of any sequence; true when this was one. */
  function always(character: string): boolean {
    if (character === '\x18' || character === '\x1a') {
      enter('ground');
      return true;
    }
    if (state === 'osc' || state === 'string' || state === 'string_escape') return false;
    if (character === '\x1b') enter('escape');
    else if (character === '\x9b') enter('csi');
    else if (character === '\x9d') enter('osc');
    else if (inRange(character, 0x00, 0x1f) || inRange(character, 0x7f, 0x9f)) events.control(character);
    else return false;
    return true;
  }

  function take(character: string): void {
    if (always(character)) return;
    if (state === 'ground') events.print(character);
    else if (state === 'escape') escape(character);
    else if (state === 'intermediate') state = inRange(character, 0x20, 0x2f) ? 'intermediate' : 'ground';
    else if (state === 'csi') inCsi(character);
    else if (state === 'osc' || state === 'string') inString(character);
    else if (character === '\\') endString();
    else {
      // ESC that does not end the string begins another sequence.
      enter('escape');
      take(character);
    }
  }

  return (chunk) => {
    for (const character of chunk) take(character);
  };
}

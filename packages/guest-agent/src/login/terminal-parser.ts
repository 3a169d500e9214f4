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

export interface Parser {
  readonly events: TerminalEvents;
  state: State;
  /** The parameters, or the text, of the sequence so far. */
  collected: string;
  /** The string that may be ending is an OSC. */
  isOsc: boolean;
}

/** It calls `events` for what `feedParser` completes. */
export const newParser = (events: TerminalEvents): Parser => ({ events, state: 'ground', collected: '', isOsc: false });

/** Takes the next chunk. */
export function feedParser(parser: Parser, chunk: string): void {
  for (const character of chunk) take(parser, character);
}

function take(parser: Parser, character: string): void {
  if (always(parser, character)) return;
  const { state } = parser;
  if (state === 'ground') parser.events.print(character);
  else if (state === 'escape') escape(parser, character);
  else if (state === 'intermediate') parser.state = inRange(character, 0x20, 0x2f) ? 'intermediate' : 'ground';
  else if (state === 'csi') inCsi(parser, character);
  else if (state === 'osc' || state === 'string') inString(parser, character);
  else if (character === '\\') endString(parser);
  else {
    // ESC that does not end the string begins another sequence.
    enter(parser, 'escape');
    take(parser, character);
  }
}

/** Characters that act inside of any sequence; true when this was one. */
function always(parser: Parser, character: string): boolean {
  if (character === '\x18' || character === '\x1a') {
    enter(parser, 'ground');
    return true;
  }
  if (['osc', 'string', 'string_escape'].includes(parser.state)) return false;
  if (character === '\x1b') enter(parser, 'escape');
  else if (character === '\x9b') enter(parser, 'csi');
  else if (character === '\x9d') enter(parser, 'osc');
  else if (inRange(character, 0x00, 0x1f) || inRange(character, 0x7f, 0x9f)) parser.events.control(character);
  else return false;
  return true;
}

function enter(parser: Parser, next: State): void {
  parser.state = next;
  parser.collected = '';
}

function escape(parser: Parser, character: string): void {
  if (character === '[') enter(parser, 'csi');
  else if (character === ']') enter(parser, 'osc');
  else if ('PX^_'.includes(character)) enter(parser, 'string');
  else if (inRange(character, 0x20, 0x2f)) enter(parser, 'intermediate');
  else enter(parser, 'ground');
}

function inCsi(parser: Parser, character: string): void {
  if (!inRange(character, 0x40, 0x7e)) return collect(parser, character);
  const parameters = parser.collected;
  enter(parser, 'ground');
  parser.events.csi(parameters, character);
}

function inString(parser: Parser, character: string): void {
  const isOsc = parser.state === 'osc';
  if (character === '\x1b') {
    parser.isOsc = isOsc;
    parser.state = 'string_escape';
  } else if (character === '\x9c' || (character === '\x07' && isOsc)) {
    parser.isOsc = isOsc;
    endString(parser);
  } else collect(parser, character);
}

function endString(parser: Parser): void {
  if (parser.isOsc) parser.events.osc(parser.collected);
  enter(parser, 'ground');
}

function collect(parser: Parser, character: string): void {
  parser.collected += character;
  if (parser.collected.length > sequenceLimit) enter(parser, 'ground');
}

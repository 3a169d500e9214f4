/** Requests of the X11 protocol, little endian, and what their answers say. Pure. Numbers in the code are those of the protocol. */

export const padded = (length: number): number => Math.ceil(length / 4) * 4;

/** Two numbers of 16 bits as one word. */
export const pair = (low: number, high: number): number => ((low & 0xffff) | (high << 16)) >>> 0;

/** Opcode, the byte behind it, then words and bytes; filled up to whole words. */
export function request(opcode: number, detail: number, ...parts: readonly (number | Buffer)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'number' ? words(part) : part)));
  const bytes = Buffer.alloc(padded(4 + body.length));
  bytes.writeUInt8(opcode, 0);
  bytes.writeUInt8(detail, 1);
  bytes.writeUInt16LE(bytes.length / 4, 2);
  body.copy(bytes, 4);
  return bytes;
}

export function words(...values: readonly number[]): Buffer {
  return Buffer.from(Uint32Array.from(values).buffer);
}

/** The words in the value of a property such as _NET_CLIENT_LIST. */
export function wordsOf(value: Buffer): number[] {
  return Array.from({ length: Math.floor(value.length / 4) }, (_, index) => value.readUInt32LE(index * 4));
}

/** Protocol 11.0, no authorization: the X server lets local users in. */
export const setupRequest = (): Buffer => Buffer.concat([Buffer.from('l\0'), words(11, 0), Buffer.alloc(2)]);

export const atoms = { none: 0, primary: 1, atom: 4, string: 31 } as const;
export const eventKinds = {
  propertyNotify: 28,
  selectionClear: 29,
  selectionRequest: 30,
  selectionNotify: 31,
  clientMessage: 33,
} as const;
/** What a client wants to be told of a window. */
export const eventMasks = { propertyChange: 0x40_0000, ofWindowManager: 0x18_0000 } as const;
/** The time of a request that is made for no event. */
export const now = 0;

/** A window of one pixel that is never seen; events about its properties are wanted. */
export const createWindow = (window: number, root: number): Buffer =>
  request(1, 0, window, root, pair(0, 0), pair(1, 1), pair(0, 2), 0, 0x800, eventMasks.propertyChange);
export const selectEvents = (window: number, mask: number): Buffer => request(2, 0, window, 0x800, mask);
export const destroyWindow = (window: number): Buffer => request(4, 0, window);
export const mapWindow = (window: number): Buffer => request(8, 0, window);
export const getGeometry = (window: number): Buffer => request(14, 0, window);
/** The answer names the window's parent in its fourth word. */
export const queryTree = (window: number): Buffer => request(15, 0, window);
export const internAtom = (name: string): Buffer => request(16, 0, pair(name.length, 0), Buffer.from(name, 'latin1'));
export interface PropertyValue {
  type: number;
  /** Bits of an item: text is bytes, a list of atoms words. */
  format: 8 | 32;
  bytes: Buffer;
}
export const changeProperty = (window: number, property: number, { type, format, bytes }: PropertyValue): Buffer =>
  request(18, 0, window, property, type, format, bytes.length / (format / 8), bytes);
/** `mostBytes` of the value, a multiple of 4; `isTaken`: the property is removed when that was all of it. */
export const getProperty = (window: number, property: number, mostBytes: number, isTaken = false): Buffer =>
  request(20, isTaken ? 1 : 0, window, property, 0, 0, mostBytes / 4);
export const setSelectionOwner = (window: number, selection: number): Buffer => request(22, 0, window, selection, now);
export const getSelectionOwner = (selection: number): Buffer => request(23, 0, selection);
export const convertSelection = (window: number, selection: number, target: number, property: number): Buffer =>
  request(24, 0, window, selection, target, property, now);
/** `event`: 32 bytes. */
export const sendEvent = (window: number, mask: number, event: Buffer): Buffer => request(25, 0, window, mask, event);
export const grabServer = (): Buffer => request(36, 0);
export const ungrabServer = (): Buffer => request(37, 0);
/** Answered at once: what was sent before has been done then. */
export const getInputFocus = (): Buffer => request(43, 0);
export const queryKeymap = (): Buffer => request(44, 0);
/** A line of a window, all planes, whole pixels. */
export const getLine = (window: number, x: number, y: number, width: number): Buffer =>
  request(73, 2, window, pair(x, y), pair(width, 1), 0xffff_ffff);
export const queryExtension = (name: string): Buffer =>
  request(98, 0, pair(name.length, 0), Buffer.from(name, 'latin1'));
export const keycodes = { first: 8, last: 255 } as const;
/** Of all keys; the second byte of the answer says how many keysyms it has for each. */
export const getKeyboardMapping = (): Buffer =>
  request(101, 0, pair(keycodes.first | ((keycodes.last - keycodes.first + 1) << 8), 0));
/** What a key types alone and with Shift; 0: nothing. With one keysym only, the server would make a small letter of a capital one. */
export const changeKeyboardMapping = (keycode: number, plain: number, shifted: number): Buffer =>
  request(100, 1, pair(keycode | (2 << 8), 0), plain, shifted);
export const getModifierMapping = (): Buffer => request(119, 0);

/** A message to the window manager about a window; `data`: at most five words. */
export function clientMessage(window: number, type: number, data: readonly number[]): Buffer {
  const event = Buffer.alloc(32);
  event.writeUInt8(eventKinds.clientMessage, 0);
  event.writeUInt8(32, 1);
  words(window, type, ...data).copy(event, 4);
  return event;
}

/** XTEST: a key as if somebody pressed it. `opcode`: the extension's. */
export const fakeKey = (opcode: number, keycode: number, isDown: boolean): Buffer =>
  request(opcode, 2, pair((isDown ? 2 : 3) | (keycode << 8), 0), 0, 0, 0, 0, 0, 0, 0);

/** The value in an answer to GetProperty, and the atom of its type. */
export function valueOfProperty(answer: Buffer): { type: number; value: Buffer; isWhole: boolean } {
  const length = answer.readUInt32LE(16) * (answer.readUInt8(1) / 8);
  const isWhole = answer.readUInt32LE(12) === 0;
  return { type: answer.readUInt32LE(8), value: answer.subarray(32, 32 + length), isWhole };
}

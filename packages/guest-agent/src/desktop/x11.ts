/**
 * As much of an X11 client as it takes to read properties of windows and pixels of the screen: set-up, InternAtom,
 * GetProperty, GetImage. Asking through xprop would cost a process for each question, which is slow on an emulated machine.
 */
import { connect, type Socket } from 'node:net';

export interface XDisplay {
  root: number;
  /** The value of a property in its own bytes; empty when the window has none. null: the window does not exist. */
  property(window: number, name: string): Promise<Buffer | null>;
  /**
   * What is on the screen in a line of `width` pixels that begins at (x, y): four bytes a pixel, blue first, the last one
   * unused. null: the line is not wholly on the screen.
   */
  line(x: number, y: number, width: number): Promise<Buffer | null>;
  close(): void;
}

/** Milliseconds for the whole of one answer. */
const answerTimeoutMs = 5000;
/** Bytes that may wait here: more than the largest answer, that to the set-up request, can be. The server is a program of the user. */
const mostBytes = 512 * 1024;

const padded = (length: number): number => Math.ceil(length / 4) * 4;

/** Set-up request: little endian, protocol 11.0, no authorization (the X server lets local users in). */
export function setupRequest(): Buffer {
  const request = Buffer.alloc(12);
  request.write('l', 0, 'latin1');
  request.writeUInt16LE(11, 2);
  return request;
}

/** InternAtom for an atom that must exist already. */
export function internAtomRequest(name: string): Buffer {
  const request = Buffer.alloc(8 + padded(name.length));
  request.writeUInt8(16, 0);
  request.writeUInt8(1, 1);
  request.writeUInt16LE(request.length / 4, 2);
  request.writeUInt16LE(name.length, 4);
  request.write(name, 8, 'latin1');
  return request;
}

/** GetProperty of any type, at most 4 KiB of it. */
export function getPropertyRequest(window: number, atom: number): Buffer {
  const request = Buffer.alloc(24);
  request.writeUInt8(20, 0);
  request.writeUInt16LE(6, 2);
  request.writeUInt32LE(window, 4);
  request.writeUInt32LE(atom, 8);
  request.writeUInt32LE(1024, 20);
  return request;
}

/** GetImage of a line of a window, all planes, whole pixels. */
export function getLineRequest(window: number, x: number, y: number, width: number): Buffer {
  const request = Buffer.alloc(20);
  request.writeUInt8(73, 0);
  request.writeUInt8(2, 1);
  request.writeUInt16LE(5, 2);
  request.writeUInt32LE(window, 4);
  request.writeInt16LE(x, 8);
  request.writeInt16LE(y, 10);
  request.writeUInt16LE(width, 12);
  request.writeUInt16LE(1, 14);
  request.writeUInt32LE(0xffffffff, 16);
  return request;
}

/** The root window of the first screen, from the server's answer to the set-up request. */
export function rootOfSetup(answer: Buffer): number {
  const vendorLength = answer.readUInt16LE(24);
  const formatCount = answer.readUInt8(29);
  return answer.readUInt32LE(40 + padded(vendorLength) + 8 * formatCount);
}

/** The value inside a GetProperty answer. */
export function valueOfProperty(answer: Buffer): Buffer {
  const bytesPerItem = answer.readUInt8(1) / 8;
  return answer.subarray(32, 32 + answer.readUInt32LE(16) * bytesPerItem);
}

/** Window identifiers in the value of a property such as _NET_CLIENT_LIST. */
export function windowsOf(value: Buffer): number[] {
  return Array.from({ length: Math.floor(value.length / 4) }, (_, index) => value.readUInt32LE(index * 4));
}

type Read = (length: number) => Promise<Buffer>;

/** Bytes from a socket in pieces of the length asked for, one reader at a time. A server that says too much is hung up on. */
function createReader(socket: Socket): Read {
  let buffered = Buffer.alloc(0);
  let failure: Error | undefined;
  let wake: (() => void) | undefined;
  const fail = (error: Error): void => {
    failure ??= error;
    wake?.();
  };
  socket.on('data', (chunk: Buffer) => {
    if (buffered.length + chunk.length > mostBytes) socket.destroy(tooMuch());
    else buffered = Buffer.concat([buffered, chunk]);
    wake?.();
  });
  socket.on('error', fail);
  socket.on('close', () => fail(new Error('The X server closed the connection.')));
  return async (length) => {
    if (length > mostBytes) fail(tooMuch());
    while (buffered.length < length) {
      if (failure) throw failure;
      await new Promise<void>((resolve) => (wake = resolve));
    }
    const piece = buffered.subarray(0, length);
    buffered = buffered.subarray(length);
    return piece;
  };
}

const tooMuch = (): Error => new Error(`The X server said more than ${mostBytes} bytes at once.`);

async function readSetup(read: Read): Promise<Buffer> {
  const head = await read(8);
  const rest = await read(4 * head.readUInt16LE(6));
  if (head.readUInt8(0) !== 1) throw new Error('The X server refused the connection.');
  return Buffer.concat([head, rest]);
}

/** One answer: first byte 1 is a reply (with more words at 4), 0 an error; anything else is an event and skipped. */
async function readAnswer(read: Read): Promise<Buffer | null> {
  for (;;) {
    const head = await read(32);
    const kind = head.readUInt8(0);
    if (kind === 0) return null;
    if (kind === 1) return Buffer.concat([head, await read(4 * head.readUInt32LE(4))]);
  }
}

/**
 * Connects to the X server at a unix socket. Questions are asked one after the other.
 * @throws Error when there is no server, or it refuses.
 */
export async function openDisplay(socketPath: string): Promise<XDisplay> {
  const socket = connect(socketPath);
  const read = createReader(socket);
  const atoms = new Map<string, number>();
  const ask = async <T>(request: Buffer, readIt: (read: Read) => Promise<T>): Promise<T> => {
    const late = new Error(`The X server has not answered within ${answerTimeoutMs} ms.`);
    const timer = setTimeout(() => socket.destroy(late), answerTimeoutMs);
    socket.write(request);
    return readIt(read).finally(() => clearTimeout(timer));
  };
  try {
    const root = rootOfSetup(await ask(setupRequest(), readSetup));
    const atomOf = async (name: string): Promise<number> => {
      const known = atoms.get(name);
      if (known !== undefined) return known;
      const atom = (await ask(internAtomRequest(name), readAnswer))?.readUInt32LE(8) ?? 0;
      if (atom !== 0) atoms.set(name, atom);
      return atom;
    };
    return {
      root,
      property: async (window, name) => {
        const atom = await atomOf(name);
        if (atom === 0) return Buffer.alloc(0);
        const answer = await ask(getPropertyRequest(window, atom), readAnswer);
        return answer && valueOfProperty(answer);
      },
      // Of the root window: it shows what is above it, as VNC does.
      line: async (x, y, width) => {
        const answer = await ask(getLineRequest(root, x, y, width), readAnswer);
        return answer && answer.subarray(32, 32 + 4 * width);
      },
      close: () => socket.destroy(),
    };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

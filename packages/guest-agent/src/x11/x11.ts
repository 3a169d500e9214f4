/**
 * As much of an X11 client as the desktop takes. Asking through programs such as xprop would cost a process for each question,
 * which is slow on an emulated machine.
 */
import { openConnection, type XConnection } from './connection.js';
import { atoms, getLine, getProperty, internAtom, queryExtension, valueOfProperty } from './requests.js';

export interface XExtension {
  opcode: number;
  /** Number of its first event. */
  firstEvent: number;
}

export interface XDisplay extends XConnection {
  atom(name: string): Promise<number>;
  /** The value of a property in its own bytes, at most 4 KiB; empty when the window has none. null: the window does not exist. */
  property(window: number, name: string): Promise<Buffer | null>;
  /**
   * What is on the screen in a line of `width` pixels that begins at (x, y): four bytes a pixel, blue first, the last one
   * unused. null: the line is not wholly on the screen.
   */
  line(x: number, y: number, width: number): Promise<Buffer | null>;
  /** @throws Error when the server does not have it */
  extension(name: string): Promise<XExtension>;
}

const propertyBytes = 4096;

/**
 * Connects to the X server at a unix socket.
 * @throws Error when there is no server, or it refuses.
 */
export async function openDisplay(socketPath: string): Promise<XDisplay> {
  const connection = await openConnection(socketPath);
  const atom = remember(async (name) => (await connection.ask(internAtom(name)))?.readUInt32LE(8) ?? atoms.none);
  return {
    ...connection,
    atom,
    property: async (window, name) => {
      const answer = await connection.ask(getProperty(window, await atom(name), propertyBytes));
      return answer && valueOfProperty(answer).value;
    },
    // Of the root window: it shows what is above it, as VNC does.
    line: async (x, y, width) => {
      const answer = await connection.ask(getLine(connection.root, x, y, width));
      return answer && answer.subarray(32, 32 + 4 * width);
    },
    extension: remember(async (name) => {
      const answer = await connection.ask(queryExtension(name));
      if (answer?.readUInt8(8) !== 1) throw new Error(`The X server has no extension ${name}.`);
      return { opcode: answer.readUInt8(9), firstEvent: answer.readUInt8(10) };
    }),
  };
}

/** Asks once for each name. */
function remember<T>(ask: (name: string) => Promise<T>): (name: string) => Promise<T> {
  const known = new Map<string, Promise<T>>();
  return (name) => {
    const answer = known.get(name) ?? ask(name);
    known.set(name, answer);
    return answer;
  };
}

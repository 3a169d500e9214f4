/**
 * A connection to the X server at its unix socket: requests, the answers to them in order, events. The server and its other clients are
 * programs of the desktop user: nothing that they send, and nothing that they leave unread, grows here.
 */
import { connect, type Socket } from 'node:net';
import { padded, setupRequest } from './requests.js';

export interface XConnection {
  /** The root window of the first screen. */
  readonly root: number;
  /** An identifier for a new window. */
  newId(): number;
  /** Whether the window, or whatever it is, was made by this connection. */
  owns(id: number): boolean;
  /** For requests that have no answer. */
  send(request: Buffer): void;
  /** The answer, or null when the server refused with an error. @throws Error when the connection ends before */
  ask(request: Buffer): Promise<Buffer | null>;
  /** Calls back with each event, 32 bytes; the function that it returns ends that. */
  listen(onEvent: (event: Buffer) => void): () => void;
  isOpen(): boolean;
  close(): void;
}

/** Milliseconds for the whole of one answer. */
const answerTimeoutMs = 5000;
/** Bytes of one answer, of which that to the set-up request or a text is the largest. */
const mostBytes = 512 * 1024;
/** Bytes of requests that nobody takes: some programs may ask for the longest text in the same moment. */
const mostUnsent = 4 * 1024 * 1024;
/** Events in a second: any program can send us some. */
const mostEvents = 4096;

const headBytes = { setup: 8, message: 32 } as const;

/** Cuts what comes into messages: first the answer to the set-up request, then answers, errors and events. */
function createCutter(onSetup: (answer: Buffer) => void, onMessage: (message: Buffer) => void) {
  let buffered = Buffer.alloc(0);
  let isSetUp = false;
  const sizeOfNext = (): number => {
    if (!isSetUp) return buffered.length < headBytes.setup ? headBytes.setup : 8 + 4 * buffered.readUInt16LE(6);
    const isLong = buffered.length >= headBytes.message && buffered.readUInt8(0) === 1;
    return headBytes.message + (isLong ? 4 * buffered.readUInt32LE(4) : 0);
  };
  return (chunk: Buffer): void => {
    buffered = Buffer.concat([buffered, chunk]);
    for (;;) {
      const size = sizeOfNext();
      if (size > mostBytes) throw new Error(`The X server said more than ${mostBytes} bytes at once.`);
      if (buffered.length < size || size === headBytes.setup) return;
      const message = buffered.subarray(0, size);
      buffered = buffered.subarray(size);
      if (isSetUp) onMessage(message);
      else onSetup(message);
      isSetUp = true;
    }
  };
}

/** Says no when more than `mostEvents` come within a second. */
function createEventLimit(): () => void {
  let [since, count] = [performance.now(), 0];
  return () => {
    if (performance.now() - since > 1000) [since, count] = [performance.now(), 0];
    count += 1;
    if (count > mostEvents) throw new Error(`The X server sent more than ${mostEvents} events in a second.`);
  };
}

interface Waiting {
  sequence: number;
  resolve(answer: Buffer | null): void;
  reject(error: Error): void;
  timer: NodeJS.Timeout;
}

/** Who waits for what, in the order of the requests. */
function createWaitingList(socket: Socket) {
  const waiting: Waiting[] = [];
  return {
    add: (sequence: number): Promise<Buffer | null> =>
      new Promise((resolve, reject) => {
        const late = new Error(`The X server has not answered within ${answerTimeoutMs} ms.`);
        const timer = setTimeout(() => socket.destroy(late), answerTimeoutMs);
        waiting.push({ sequence, resolve, reject, timer });
      }),
    /** An error may belong to a request for whose answer nobody waits. */
    answer: (sequence: number, answer: Buffer | null): void => {
      if (waiting[0]?.sequence !== sequence) {
        if (answer !== null) throw new Error('The X server answered what it was not asked.');
        return;
      }
      const first = waiting.shift();
      clearTimeout(first?.timer);
      first?.resolve(answer);
    },
    fail: (error: Error): void => {
      for (const { reject, timer } of waiting.splice(0)) {
        clearTimeout(timer);
        reject(error);
      }
    },
  };
}

/** What the server's answer to the set-up request says. @throws Error when it refuses */
function readSetup(answer: Buffer): { root: number; idBase: number; idMask: number } {
  if (answer.readUInt8(0) !== 1) throw new Error('The X server refused the connection.');
  const [vendorLength, formatCount] = [answer.readUInt16LE(24), answer.readUInt8(29)];
  return {
    root: answer.readUInt32LE(40 + padded(vendorLength) + 8 * formatCount),
    idBase: answer.readUInt32LE(12),
    idMask: answer.readUInt32LE(16),
  };
}

/** @throws Error when there is no server, or it refuses */
export async function openConnection(socketPath: string): Promise<XConnection> {
  const socket = connect(socketPath);
  const waiting = createWaitingList(socket);
  const listeners = new Set<(event: Buffer) => void>();
  const limitEvents = createEventLimit();
  let sequence = 0;

  function take(message: Buffer): void {
    const kind = message.readUInt8(0);
    if (kind < 2) waiting.answer(message.readUInt16LE(2), kind === 1 ? message : null);
    else {
      limitEvents();
      for (const listener of listeners) listener(message);
    }
  }
  const cut = createCutter((answer) => waiting.answer(0, answer), take);
  socket.on('data', (chunk) => {
    try {
      cut(chunk);
    } catch (error) {
      socket.destroy(error as Error);
    }
  });
  socket.on('error', (error) => waiting.fail(error));
  socket.on('close', () => waiting.fail(new Error('The X server closed the connection.')));

  function send(request: Buffer): void {
    sequence = (sequence + 1) & 0xffff;
    if (socket.writableLength > mostUnsent) socket.destroy(new Error('The X server does not take what it is sent.'));
    else socket.write(request);
  }

  try {
    const setUp = waiting.add(0);
    socket.write(setupRequest());
    const { root, idBase, idMask } = readSetup((await setUp) ?? Buffer.alloc(headBytes.setup));
    let lastId = idBase;
    return {
      root,
      newId: () => (lastId += 1),
      owns: (id) => (id & ~idMask) >>> 0 === idBase,
      send,
      ask: async (request) => {
        if (socket.destroyed) throw new Error('The X server closed the connection.');
        send(request);
        return waiting.add(sequence);
      },
      listen: (onEvent) => {
        listeners.add(onEvent);
        return () => void listeners.delete(onEvent);
      },
      isOpen: () => !socket.destroyed,
      close: () => void socket.destroy(),
    };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/**
 * A small VNC client for tests, over any duplex stream: a TCP or unix socket, or a WebSocket tunnel.
 * RFB 3.8, security None or VNC password, raw encoding only; sees the screen exactly, presses keys, moves the pointer.
 */
import { connect, type NetConnectOpts } from 'node:net';
import type { Duplex } from 'node:stream';
import { countChanges, wholeOf, type Box, type RgbaImage } from './image.js';
import { shakeHands } from './rfb/handshake.js';
import { keysymOf, type KeyName } from './rfb/keys.js';
import { ByteReader } from './rfb/reader.js';

export interface RfbOptions {
  /** VNC password, when the server wants one. */
  password?: string;
  /** For the handshake and for each capture; 30 s by default. */
  timeoutMs?: number;
}

export interface Rfb {
  width: number;
  height: number;
  /** The name that the server gives its desktop. */
  name: string;
  /** The whole screen as it is now. */
  capture(): Promise<RgbaImage>;
  /** Waits until `check` accepts the screen; looks again whenever the server reports a change. Returns that picture. */
  waitFor(what: string, check: (image: RgbaImage) => boolean, timeoutMs: number): Promise<RgbaImage>;
  /** Waits until at least `minPixels` (1 by default) pixels inside `box` differ from `before`. */
  waitForChange(before: RgbaImage, box: Box, timeoutMs: number, minPixels?: number): Promise<RgbaImage>;
  /** Presses and releases; with several names the first ones are held meanwhile, as in `press('Control', 'l')`. */
  press(...keys: (KeyName | string)[]): void;
  /** Types the characters one after the other; a line feed is Enter. */
  type(text: string): void;
  move(x: number, y: number): void;
  click(x: number, y: number, button?: 1 | 2 | 3): void;
  close(): void;
}

/** Connects a socket and shakes hands. */
export async function connectRfb(address: NetConnectOpts, options: RfbOptions = {}): Promise<Rfb> {
  const socket = connect(address);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  socket.setNoDelay(true);
  return openRfb(socket, options);
}

/** Shakes hands over a stream that is already connected, and owns the stream from then on. */
export async function openRfb(stream: Duplex, options: RfbOptions = {}): Promise<Rfb> {
  const timeoutMs = options.timeoutMs ?? 30_000;
  const reader = new ByteReader(stream);
  try {
    const { width, height, name } = await withDeadline(
      'the VNC handshake',
      timeoutMs,
      shakeHands(stream, reader, options.password),
    );
    const screen = new Screen(stream, reader, width, height);
    return { ...face(screen, stream, timeoutMs), width, height, name };
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

function face(screen: Screen, stream: Duplex, timeoutMs: number): Omit<Rfb, 'width' | 'height' | 'name'> {
  const send = (...bytes: Buffer[]): void => void stream.write(Buffer.concat(bytes));
  const key = (keysym: number, down: boolean): void => send(keyEvent(keysym, down));
  const press = (...keys: string[]): void => {
    const keysyms = keys.map(keysymOf);
    for (const keysym of keysyms) key(keysym, true);
    for (const keysym of keysyms.toReversed()) key(keysym, false);
  };
  const capture = async (): Promise<RgbaImage> => withDeadline('a VNC picture', timeoutMs, screen.capture());
  const waitFor: Rfb['waitFor'] = async (what, check, waitMs) => {
    const deadline = Date.now() + waitMs;
    for (;;) {
      const image = await capture();
      if (check(image)) return image;
      await withDeadline(what, deadline - Date.now(), screen.nextChange());
    }
  };
  return {
    capture,
    waitFor,
    waitForChange: async (before, box, waitMs, minPixels = 1) =>
      waitFor('a change on the screen', (image) => countChanges(before, image, box, 0) >= minPixels, waitMs),
    press,
    type: (text) => [...text].forEach((character) => press(character)),
    move: (x, y) => send(pointerEvent(x, y, 0)),
    click: (x, y, button = 1) =>
      send(pointerEvent(x, y, 0), pointerEvent(x, y, 1 << (button - 1)), pointerEvent(x, y, 0)),
    close: () => void stream.destroy(),
  };
}

/** The screen's pixels, kept up to date by a loop that reads whatever the server sends. */
class Screen {
  readonly #image: RgbaImage;
  /** Pixels not yet sent since the last full request; null when none is under way. */
  #missing: { mask: Uint8Array; count: number } | null = null;
  #updates: (() => void)[] = [];
  #failure: Error | null = null;
  #rejects = new Set<(error: Error) => void>();

  constructor(
    readonly stream: Duplex,
    readonly reader: ByteReader,
    width: number,
    height: number,
  ) {
    this.#image = { width, height, data: new Uint8Array(width * height * 4).fill(255) };
    this.#readAll().catch((error: unknown) => {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      for (const reject of this.#rejects) reject(this.#failure);
    });
  }

  async capture(): Promise<RgbaImage> {
    const { width, height } = this.#image;
    this.#missing = { mask: new Uint8Array(width * height).fill(1), count: width * height };
    this.#request(false);
    while (this.#missing !== null && this.#missing.count > 0) await this.#update();
    return { width, height, data: this.#image.data.slice() };
  }

  /** Resolves when the server has sent something new. */
  async nextChange(): Promise<void> {
    this.#request(true);
    await this.#update();
  }

  async #update(): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    await new Promise<void>((resolve, reject) => {
      this.#rejects.add(reject);
      this.#updates.push(() => {
        this.#rejects.delete(reject);
        resolve();
      });
    });
  }

  #request(incremental: boolean): void {
    const message = Buffer.alloc(10);
    message[0] = 3;
    message[1] = incremental ? 1 : 0;
    message.writeUInt16BE(this.#image.width, 6);
    message.writeUInt16BE(this.#image.height, 8);
    this.stream.write(message);
  }

  async #readAll(): Promise<never> {
    for (;;) {
      const kind = (await this.reader.take(1)).readUInt8();
      if (kind === 0) await this.#readUpdate();
      else if (kind === 3) await this.reader.take((await this.reader.take(7)).readUInt32BE(3));
      else if (kind !== 2) throw new Error(`The VNC server sent message ${kind}, which was not asked for.`);
    }
  }

  async #readUpdate(): Promise<void> {
    const count = (await this.reader.take(3)).readUInt16BE(1);
    for (let index = 0; index < count; index += 1) {
      const header = await this.reader.take(12);
      const encoding = header.readInt32BE(8);
      if (encoding !== 0) throw new Error(`The VNC server used encoding ${encoding} instead of raw.`);
      const [x, y, width, height] = [0, 2, 4, 6].map((at) => header.readUInt16BE(at)) as [
        number,
        number,
        number,
        number,
      ];
      this.#draw({ x, y, width, height }, await this.reader.take(width * height * 4));
    }
    for (const wake of this.#updates.splice(0)) wake();
  }

  #draw(box: Box, pixels: Buffer): void {
    const { width, data } = this.#image;
    if (box.x + box.width > width || box.y + box.height > wholeOf(this.#image).height) {
      throw new Error(`The VNC server drew outside of the screen: ${JSON.stringify(box)}.`);
    }
    for (let index = 3; index < pixels.length; index += 4) pixels[index] = 255;
    for (let row = 0; row < box.height; row += 1) {
      const at = (box.y + row) * width + box.x;
      data.set(pixels.subarray(row * box.width * 4, (row + 1) * box.width * 4), at * 4);
      if (this.#missing === null) continue;
      for (let pixel = at; pixel < at + box.width; pixel += 1) this.#missing.count -= this.#missing.mask[pixel] ?? 0;
      this.#missing.mask.fill(0, at, at + box.width);
    }
  }
}

function keyEvent(keysym: number, down: boolean): Buffer {
  const message = Buffer.from([4, down ? 1 : 0, 0, 0, 0, 0, 0, 0]);
  message.writeUInt32BE(keysym, 4);
  return message;
}

function pointerEvent(x: number, y: number, buttons: number): Buffer {
  const message = Buffer.from([5, buttons, 0, 0, 0, 0]);
  message.writeUInt16BE(Math.round(x), 2);
  message.writeUInt16BE(Math.round(y), 4);
  return message;
}

async function withDeadline<T>(what: string, timeoutMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`Waited in vain for ${what}.`)), Math.max(0, timeoutMs));
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

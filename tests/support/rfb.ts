/**
 * A small VNC client for tests, over any duplex stream: a TCP or unix socket, or a WebSocket tunnel.
 * RFB 3.8, security None or VNC password, raw encoding only; sees the screen exactly, presses keys, moves the pointer.
 */
import { connect, type NetConnectOpts } from 'node:net';
import type { Duplex } from 'node:stream';
import { inTime } from '@airlock/contract/deadline';
import {
  beginPicture,
  keyEvent,
  pointerEvent,
  readMessage,
  rfbStream,
  signIn,
  updateRequest,
  type Picture,
  type RfbStream,
} from '@airlock/contract/rfb';
import { countChanges, type Box, type RgbaImage } from './image.js';
import { keysymOf, type KeyName } from './rfb/keys.js';

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
  /** Presses and releases a key that has no name here, by its X keysym. */
  pressKeysym(keysym: number): void;
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
  const rfb = rfbStream(stream);
  const shakeHands = async () => {
    await signIn(rfb, options.password);
    return beginPicture(rfb);
  };
  try {
    const { width, height, name } = await inTime(shakeHands(), timeoutMs, inVain('the VNC handshake'));
    const screen = new Screen(rfb, width, height);
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
  const capture = async (): Promise<RgbaImage> => inTime(screen.capture(), timeoutMs, inVain('a VNC picture'));
  const waitFor: Rfb['waitFor'] = async (what, check, waitMs) => {
    const deadline = Date.now() + waitMs;
    for (;;) {
      const image = await capture();
      if (check(image)) return image;
      await inTime(screen.nextChange(), Math.max(0, deadline - Date.now()), inVain(what));
    }
  };
  return {
    capture,
    waitFor,
    waitForChange: async (before, box, waitMs, minPixels = 1) =>
      waitFor('a change on the screen', (image) => countChanges(before, image, box, 0) >= minPixels, waitMs),
    press,
    pressKeysym: (keysym) => [true, false].forEach((down) => key(keysym, down)),
    type: (text) => [...text].forEach((character) => press(character)),
    move: (x, y) => send(pointerEvent(x, y, 0)),
    click: (x, y, button = 1) =>
      send(pointerEvent(x, y, 0), pointerEvent(x, y, 1 << (button - 1)), pointerEvent(x, y, 0)),
    close: () => void stream.destroy(),
  };
}

/** The screen's pixels, kept up to date by a loop that reads whatever the server sends. */
class Screen {
  readonly #image: Picture;
  /** Pixels not yet sent since the last full request; null when none is under way. */
  #missing: { mask: Uint8Array; count: number } | null = null;
  #updates: (() => void)[] = [];
  #failure: Error | null = null;
  #rejects = new Set<(error: Error) => void>();

  constructor(
    readonly stream: RfbStream,
    width: number,
    height: number,
  ) {
    this.#image = { width, height, data: Buffer.alloc(width * height * 4, 255) };
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
    return { width, height, data: new Uint8Array(this.#image.data) };
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
    const { width, height } = this.#image;
    this.stream.write(updateRequest({ x: 0, y: 0, width, height }, incremental));
  }

  async #readAll(): Promise<never> {
    for (;;) {
      const boxes = await readMessage(this.stream, this.#image);
      if (boxes === undefined) continue;
      for (const box of boxes) this.#note(box);
      for (const wake of this.#updates.splice(0)) wake();
    }
  }

  /** What was drawn is opaque, and not missing any more. */
  #note(box: Box): void {
    const { width, data } = this.#image;
    for (let row = box.y; row < box.y + box.height; row += 1) {
      const at = row * width + box.x;
      for (let pixel = at; pixel < at + box.width; pixel += 1) data[pixel * 4 + 3] = 255;
      if (this.#missing === null) continue;
      for (let pixel = at; pixel < at + box.width; pixel += 1) this.#missing.count -= this.#missing.mask[pixel] ?? 0;
      this.#missing.mask.fill(0, at, at + box.width);
    }
  }
}

const inVain = (what: string) => (): Error => new Error(`Waited in vain for ${what}.`);

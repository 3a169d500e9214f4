/** noVNC whose keys go through our hands, and which says when it has heard of the desktop last, and what has reached it. */
import RFB from '@novnc/novnc';
import type { Key } from './input-queue.js';

/** A message of xvp in a version that does not exist. x11vnc answers at once, and in its turn: behind all that was sent before. */
const question = Uint8Array.of(250, 0, 0, 0);
/** Milliseconds for the answer: a person who waits longer does not know any more what they typed. */
const answerMs = 10_000;

export class OrderedRfb extends RFB {
  /** `performance.now()` of the last bytes from the desktop. */
  heardAt = performance.now();
  readonly #take: (key: Key) => void;
  readonly #socket: WebSocket;
  readonly #asked: ((isReached: boolean) => void)[] = [];
  #isConnected = false;

  /** `take` is given every key that noVNC would send, and sends it by `sendNow` in its turn. */
  constructor(target: HTMLElement, url: string, take: (key: Key) => void) {
    const socket = new WebSocket(url);
    super(target, socket, { shared: true });
    this.#take = take;
    this.#socket = socket;
    socket.addEventListener('message', () => (this.heardAt = performance.now()));
    this.addEventListener('connect', () => (this.#isConnected = true));
    socket.addEventListener('close', () => {
      this.#isConnected = false;
      for (const answer of this.#asked.splice(0)) answer(false);
    });
  }

  override sendKey(keysym: number, code: string | null, down?: boolean): void {
    for (const one of down === undefined ? [true, false] : [down]) this.#take({ keysym, code, down: one });
  }

  sendNow({ keysym, code, down }: Key): void {
    super.sendKey(keysym, code, down);
  }

  /** Resolves to true once the desktop has done all that was sent to it before; false: there is no connection, or no answer. */
  reached(): Promise<boolean> {
    return new Promise((resolve) => {
      if (!this.#isConnected) return resolve(false);
      this.#asked.push(resolve);
      setTimeout(() => resolve(false), answerMs);
      this.#socket.send(question);
    });
  }

  /** The answer, which noVNC would call an error. */
  override _handleXvpMsg(): boolean {
    if (this._sock.rQwait('xvp', 3, 1)) return false;
    this._sock.rQskipBytes(3);
    this.#asked.shift()?.(true);
    return true;
  }
}

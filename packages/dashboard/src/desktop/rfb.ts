/** noVNC whose keys go through our hands, and which says when it has heard of the desktop last. */
import RFB from '@novnc/novnc';
import type { Key } from './input-queue.js';

export class OrderedRfb extends RFB {
  /** `performance.now()` of the last bytes from the desktop. */
  heardAt = performance.now();
  readonly #take: (key: Key) => void;

  /** `take` is given every key that noVNC would send, and sends it by `sendNow` in its turn. */
  constructor(target: HTMLElement, url: string, take: (key: Key) => void) {
    const socket = new WebSocket(url);
    super(target, socket, { shared: true });
    this.#take = take;
    socket.addEventListener('message', () => (this.heardAt = performance.now()));
  }

  override sendKey(keysym: number, code: string | null, down?: boolean): void {
    for (const one of down === undefined ? [true, false] : [down]) this.#take({ keysym, code, down: one });
  }

  sendNow({ keysym, code, down }: Key): void {
    super.sendKey(keysym, code, down);
  }
}

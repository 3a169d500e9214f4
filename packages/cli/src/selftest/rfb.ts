/** A viewer of the desktop that keeps the whole screen in memory and follows its changes. */
import { AppError } from '@airlock/contract/errors';
import {
  beginPicture,
  blankPicture,
  keyEvent,
  pointerEvent,
  readMessage,
  signIn,
  updateRequest,
  type Picture,
} from '@airlock/contract/rfb';
import type { ByteStream } from './socket.js';

export interface RfbClient {
  screen: Picture;
  /** Resolves at the next change of the screen with null, or at the end of the stream with its reason. Never rejects. */
  changed(): Promise<AppError | null>;
  /** Asks for the whole screen and waits for it: proves that the tunnel is alive. */
  refresh(): Promise<void>;
  key(keysym: number): void;
  /** Presses `key` while `modifier` is held. */
  chord(modifier: number, key: number): void;
  type(text: string): void;
  click(x: number, y: number): void;
}

export const keysyms = { enter: 0xff0d, control: 0xffe3 } as const;

/** Shakes hands and starts to follow the screen. @throws AppError guest_refused on an unexpected answer. */
export async function startRfb(stream: ByteStream): Promise<RfbClient> {
  await signIn(stream);
  const screen = blankPicture(await beginPicture(stream));
  const follower = follow(stream, screen);
  await follower.refresh();
  const press = (keysym: number, down: boolean): void => stream.write(keyEvent(keysym, down));
  const key = (keysym: number): void => [true, false].forEach((down) => press(keysym, down));
  return {
    screen,
    ...follower,
    key,
    chord(modifier, inner) {
      press(modifier, true);
      key(inner);
      press(modifier, false);
    },
    type: (text) => [...text].forEach((character) => key(character === '\n' ? keysyms.enter : character.charCodeAt(0))),
    click: (x, y) => [0, 1, 0].forEach((buttons) => stream.write(pointerEvent(x, y, buttons))),
  };
}

/** Reads what the server sends until the stream ends, and asks for more after each update. */
function follow(stream: ByteStream, screen: Picture): Pick<RfbClient, 'changed' | 'refresh'> {
  const waiting: ((end: AppError | null) => void)[] = [];
  let ended: AppError | null = null;
  const request = (incremental: boolean): void =>
    stream.write(updateRequest({ x: 0, y: 0, width: screen.width, height: screen.height }, incremental));
  const tell = (end: AppError | null): void => {
    ended = end;
    waiting.splice(0).forEach((resolve) => resolve(end));
  };
  async function readAll(): Promise<never> {
    for (;;) {
      if ((await readMessage(stream, screen)) === undefined) continue;
      tell(null);
      request(true);
    }
  }
  readAll().catch((error: unknown) => tell(AppError.inItsWords(error)));
  const changed = (): Promise<AppError | null> =>
    ended ? Promise.resolve(ended) : new Promise((resolve) => waiting.push(resolve));
  return {
    changed,
    async refresh() {
      const done = changed();
      request(false);
      const end = await done;
      if (end) throw end;
    },
  };
}

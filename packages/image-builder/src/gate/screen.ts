/**
 * As much of a viewer as the gate needs, over a stream that wants no password: parts of the screen, keys, the pointer.
 * Any failure ends the stream; the next look opens another one.
 */
import type { Duplex } from 'node:stream';
import {
  beginPicture,
  blankPicture,
  keyEvent,
  pointerEvent,
  readMessage,
  rfbStream,
  signIn,
  updateRequest,
  type Box,
  type Picture,
  type RfbStream,
} from '@airlock/contract/rfb';

export type { Box, Picture } from '@airlock/contract/rfb';

export interface Screen {
  readonly width: number;
  readonly height: number;
  /** What is inside a box now; the rest of the picture is as it was at the last look there, at first black. */
  look(box: Box): Promise<Picture>;
  /** Moves the pointer there, and presses and releases its left button. */
  click(x: number, y: number): void;
  /** Presses and releases a key, given as an X keysym. */
  press(keysym: number): void;
  close(): void;
}

/** Shakes hands with security type None. Owns the stream. @throws AppError when the server does not speak RFB 3.8 */
export async function openScreen(stream: Duplex): Promise<Screen> {
  const rfb = rfbStream(stream);
  try {
    await signIn(rfb);
    return await beginScreen(stream, rfb);
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

/** The screen behind a stream whose server has let this client in and waits for its first word. */
export async function beginScreen(stream: Duplex, rfb: RfbStream = rfbStream(stream)): Promise<Screen> {
  const picture = blankPicture(await beginPicture(rfb));
  return {
    width: picture.width,
    height: picture.height,
    async look(box) {
      rfb.write(updateRequest(box, false));
      for (let left = areaOf(box); left > 0;) {
        for (const drawn of (await readMessage(rfb, picture)) ?? []) left -= areaOf(drawn);
      }
      return { ...picture, data: Buffer.from(picture.data) };
    },
    click(x, y) {
      for (const buttons of [0, 1, 0]) rfb.write(pointerEvent(x, y, buttons));
    },
    press(keysym) {
      for (const down of [true, false]) rfb.write(keyEvent(keysym, down));
    },
    close: () => void stream.destroy(),
  };
}

const areaOf = ({ width, height }: Box): number => width * height;

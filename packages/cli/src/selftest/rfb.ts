/** A small RFB 3.8 client (security None, raw encoding) that keeps the whole screen in memory. */
import { AppError } from '@airlock/contract/errors';
import type { ByteStream } from './socket.js';

export interface Screen {
  width: number;
  height: number;
  /** Four bytes a pixel: blue, green, red, unused. */
  pixels: Buffer;
}

export interface RfbClient {
  screen: Screen;
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

const encodingRaw = 0;

/** Shakes hands and starts to follow the screen. @throws AppError guest_refused on an unexpected answer. */
export async function startRfb(stream: ByteStream): Promise<RfbClient> {
  const screen = await handshake(stream);
  stream.write(Buffer.from([0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0]));
  stream.write(Buffer.from([2, 0, 0, 1, 0, 0, 0, encodingRaw]));

  const waiting: ((end: AppError | null) => void)[] = [];
  let ended: AppError | null = null;
  const request = (incremental: boolean): void => {
    const message = Buffer.from([3, incremental ? 1 : 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    message.writeUInt16BE(screen.width, 6);
    message.writeUInt16BE(screen.height, 8);
    stream.write(message);
  };
  const changed = (): Promise<AppError | null> =>
    ended ? Promise.resolve(ended) : new Promise((resolve) => waiting.push(resolve));
  const tell = (end: AppError | null): void => {
    ended = end;
    waiting.splice(0).forEach((resolve) => resolve(end));
  };
  async function follow(): Promise<void> {
    for (;;) {
      await readMessage(stream, screen, () => {
        tell(null);
        request(true);
      });
    }
  }
  follow().catch((error: unknown) => tell(AppError.from(error)));

  const sendKey = (keysym: number, down: boolean): void => {
    const message = Buffer.from([4, down ? 1 : 0, 0, 0, 0, 0, 0, 0]);
    message.writeUInt32BE(keysym, 4);
    stream.write(message);
  };
  const sendPointer = (buttons: number, x: number, y: number): void => {
    const message = Buffer.from([5, buttons, 0, 0, 0, 0]);
    message.writeUInt16BE(x, 2);
    message.writeUInt16BE(y, 4);
    stream.write(message);
  };
  const key = (keysym: number): void => [true, false].forEach((down) => sendKey(keysym, down));
  const refresh = async (): Promise<void> => {
    const done = changed();
    request(false);
    const end = await done;
    if (end) throw end;
  };
  await refresh();
  return {
    screen,
    changed,
    refresh,
    key,
    chord(modifier, inner) {
      sendKey(modifier, true);
      key(inner);
      sendKey(modifier, false);
    },
    type: (text) => [...text].forEach((character) => key(character === '\n' ? keysyms.enter : character.charCodeAt(0))),
    click: (x, y) => [0, 1, 0].forEach((buttons) => sendPointer(buttons, x, y)),
  };
}

async function handshake(stream: ByteStream): Promise<Screen> {
  const banner = (await stream.read(12)).toString('latin1');
  if (!/^RFB 003\.\d{3}\n$/.test(banner)) throw refused(`it began with ${JSON.stringify(banner)}`);
  stream.write(Buffer.from('RFB 003.008\n'));
  const count = (await stream.read(1)).readUInt8();
  const types = count === 0 ? Buffer.alloc(0) : await stream.read(count);
  if (!types.includes(1)) throw refused(`it offers security types ${[...types].join(', ') || 'none'}, not 1 (None)`);
  stream.write(Buffer.from([1]));
  if ((await stream.read(4)).readUInt32BE() !== 0) throw refused('it refused the viewer');
  stream.write(Buffer.from([1]));
  const init = await stream.read(24);
  const [width, height] = [init.readUInt16BE(0), init.readUInt16BE(2)];
  await stream.read(init.readUInt32BE(20));
  return { width, height, pixels: Buffer.alloc(width * height * 4) };
}

const refused = (why: string): AppError =>
  new AppError('guest_refused', `The desktop did not speak RFB 3.8 as expected: ${why}.`);

async function readMessage(stream: ByteStream, screen: Screen, onUpdate: () => void): Promise<void> {
  const type = (await stream.read(1)).readUInt8();
  if (type === 0) {
    const count = (await stream.read(3)).readUInt16BE(1);
    for (let n = 0; n < count; n += 1) await readRectangle(stream, screen);
    onUpdate();
  } else if (type === 1) {
    await stream.read((await stream.read(5)).readUInt16BE(3) * 6);
  } else if (type === 3) {
    await stream.read((await stream.read(7)).readUInt32BE(3));
  } else if (type !== 2) {
    throw refused(`it sent a message of type ${type}`);
  }
}

async function readRectangle(stream: ByteStream, screen: Screen): Promise<void> {
  const head = await stream.read(12);
  const [x, y, width, height] = [0, 2, 4, 6].map((at) => head.readUInt16BE(at)) as [number, number, number, number];
  if (head.readInt32BE(8) !== encodingRaw) throw refused(`it sent encoding ${head.readInt32BE(8)}`);
  if (x + width > screen.width || y + height > screen.height) throw refused('it drew outside of the screen');
  const rows = await stream.read(width * height * 4);
  for (let row = 0; row < height; row += 1) {
    rows.copy(screen.pixels, ((y + row) * screen.width + x) * 4, row * width * 4, (row + 1) * width * 4);
  }
}

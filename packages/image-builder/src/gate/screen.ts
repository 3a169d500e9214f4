/**
 * As much of a VNC client as the gate needs, over a stream that wants no password: parts of the screen, keys, the pointer.
 * Raw encoding only. Any failure ends the stream; the next look opens another one.
 */
import type { Duplex } from 'node:stream';

/** Four bytes a pixel (red, green, blue, unused), rows from the top. */
export interface Picture {
  width: number;
  height: number;
  data: Buffer;
}

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

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

const version = 'RFB 003.008\n';
/** 32 bits, depth 24, little endian, true colour, maxima 255, red in the first byte. */
const pixelFormat = Buffer.from([0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 0, 8, 16, 0, 0, 0]);
const rawOnly = Buffer.from([2, 0, 0, 1, 0, 0, 0, 0]);

/** Exact numbers of bytes from a stream, one taker at a time. */
function createTaker(stream: Duplex): (length: number) => Promise<Buffer> {
  const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let held: Buffer[] = [];
  let size = 0;
  return async (length) => {
    while (size < length) {
      const next = await chunks.next();
      if (next.done === true) throw new Error('The VNC connection ended.');
      held.push(next.value);
      size += next.value.length;
    }
    const all = Buffer.concat(held);
    held = [all.subarray(length)];
    size -= length;
    return all.subarray(0, length);
  };
}

/** Shakes hands with security type None. Owns the stream. @throws Error when the server does not speak RFB 3.8 */
export async function openScreen(stream: Duplex): Promise<Screen> {
  const take = createTaker(stream);
  try {
    const banner = (await take(12)).toString('latin1');
    if (banner !== version) throw new Error(`The VNC server begins with ${JSON.stringify(banner)}.`);
    stream.write(version);
    const offered = [...(await take((await take(1)).readUInt8()))];
    if (!offered.includes(1)) throw new Error(`The VNC server offers security types ${offered.join(', ') || 'none'}.`);
    stream.write(Buffer.from([1]));
    if ((await take(4)).readUInt32BE() !== 0) throw new Error('The VNC server refused.');
    return await beginScreen(stream, take);
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

/** The screen behind a stream whose server has let this client in and waits for its first word. */
export async function beginScreen(stream: Duplex, take = createTaker(stream)): Promise<Screen> {
  // Shared: a person may be looking, too.
  stream.write(Buffer.from([1]));
  const init = await take(24);
  await take(init.readUInt32BE(20));
  stream.write(Buffer.concat([pixelFormat, rawOnly]));
  return face(stream, take, { width: init.readUInt16BE(0), height: init.readUInt16BE(2) });
}

type Size = Pick<Picture, 'width' | 'height'>;

function face(stream: Duplex, take: (length: number) => Promise<Buffer>, size: Size): Screen {
  const picture = { ...size, data: Buffer.alloc(size.width * size.height * 4) };
  return {
    ...size,
    async look(box) {
      stream.write(updateRequest(box));
      for (let left = box.width * box.height; left > 0;) left -= await readMessage(take, picture);
      return { ...picture, data: Buffer.from(picture.data) };
    },
    click(x, y) {
      for (const buttons of [0, 1, 0]) stream.write(pointer(x, y, buttons));
    },
    press(keysym) {
      for (const down of [1, 0]) stream.write(key(keysym, down));
    },
    close: () => void stream.destroy(),
  };
}

/** Reads one message of the server; returns how many pixels it drew. */
async function readMessage(take: (length: number) => Promise<Buffer>, picture: Picture): Promise<number> {
  const kind = (await take(1)).readUInt8();
  if (kind === 2) return 0;
  if (kind === 3) {
    await take((await take(7)).readUInt32BE(3));
    return 0;
  }
  if (kind !== 0) throw new Error(`The VNC server sent a message of kind ${kind}.`);
  let drawn = 0;
  for (let count = (await take(3)).readUInt16BE(1); count > 0; count -= 1) {
    const head = await take(12);
    const [x, y, width, height] = [0, 2, 4, 6].map((at) => head.readUInt16BE(at)) as [number, number, number, number];
    if (head.readInt32BE(8) !== 0 || x + width > picture.width || y + height > picture.height)
      throw new Error('The VNC server sent a rectangle that was not asked for.');
    const pixels = await take(width * height * 4);
    for (let row = 0; row < height; row += 1) {
      pixels.copy(picture.data, ((y + row) * picture.width + x) * 4, row * width * 4, (row + 1) * width * 4);
    }
    drawn += width * height;
  }
  return drawn;
}

function updateRequest({ x, y, width, height }: Box): Buffer {
  const message = Buffer.alloc(10);
  message.writeUInt8(3, 0);
  [x, y, width, height].forEach((value, index) => message.writeUInt16BE(value, 2 + 2 * index));
  return message;
}

function pointer(x: number, y: number, buttons: number): Buffer {
  const message = Buffer.from([5, buttons, 0, 0, 0, 0]);
  message.writeUInt16BE(x, 2);
  message.writeUInt16BE(y, 4);
  return message;
}

function key(keysym: number, down: number): Buffer {
  const message = Buffer.from([4, down, 0, 0, 0, 0, 0, 0]);
  message.writeUInt32BE(keysym, 4);
  return message;
}

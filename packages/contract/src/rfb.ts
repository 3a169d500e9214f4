/**
 * RFB 3.8 (RFC 6143) as a client speaks it, over whatever gives exact numbers of bytes: the opening, messages of the server, keys and
 * pointer. Four bytes a pixel (red, green, blue, unused), raw encoding. What is done with the picture is the caller's.
 */
import { createCipheriv } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { AppError } from './errors.js';

export interface RfbStream {
  /** Exactly `count` bytes. @throws when the stream ends before */
  read(count: number): Promise<Buffer>;
  write(bytes: Buffer): void;
}

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Of the screen, as the server tells it. */
export interface ServerInit {
  width: number;
  height: number;
  /** The name that the server gives its desktop. */
  name: string;
}

export const rfbVersion = Buffer.from('RFB 003.008\n', 'latin1');
export const rfbSecurity = { none: 1, vncPassword: 2 } as const;

/** Reads `stream` to its end: nobody else may read it. Holds at most what the stream itself buffers and one message. */
export function rfbStream(stream: Duplex): RfbStream {
  const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let rest: Buffer = Buffer.alloc(0);
  async function read(count: number): Promise<Buffer> {
    const result = Buffer.alloc(count);
    for (let filled = 0; filled < count;) {
      if (rest.length === 0) {
        const next = await chunks.next();
        if (next.done === true)
          throw new AppError('guest_unreachable', `The VNC connection ended with ${count - filled} bytes missing.`);
        rest = next.value;
      }
      const copied = rest.copy(result, filled);
      rest = rest.subarray(copied);
      filled += copied;
    }
    return result;
  }
  return { read, write: (bytes) => void stream.write(bytes) };
}

/** Reads the server's first 12 bytes. @throws AppError guest_unreachable when they are no RFB banner */
export async function readBanner({ read }: Pick<RfbStream, 'read'>): Promise<string> {
  const banner = (await read(rfbVersion.length)).toString('latin1');
  if (/^RFB \d{3}\.\d{3}\n$/.test(banner)) return banner;
  throw new AppError(
    'guest_unreachable',
    `The VNC server did not begin with an RFB banner, but with ${JSON.stringify(banner)}.`,
  );
}

/**
 * Signs in, by `password` where the server wants one; it then waits for ClientInit, which `beginPicture` sends.
 * @throws AppError guest_unreachable, guest_refused with the server's own reason
 */
export async function signIn(stream: RfbStream, password?: string): Promise<void> {
  const banner = await readBanner(stream);
  if (banner < rfbVersion.toString('latin1')) throw refused(`speaks ${banner.trim()}; RFB 003.008 is needed`);
  stream.write(rfbVersion);
  const count = (await stream.read(1)).readUInt8();
  if (count === 0) throw refused(`refused: ${await readText(stream)}`);
  const offered = await stream.read(count);
  if (password !== undefined && offered.includes(rfbSecurity.vncPassword)) {
    stream.write(Buffer.from([rfbSecurity.vncPassword]));
    stream.write(answerChallenge(await stream.read(16), password));
  } else if (offered.includes(rfbSecurity.none)) {
    stream.write(Buffer.from([rfbSecurity.none]));
  } else {
    throw refused(`offers only security types ${[...offered].join(', ')}`);
  }
  if ((await stream.read(4)).readUInt32BE() !== 0) throw refused(`refused the sign-in: ${await readText(stream)}`);
}

/** Of a screen: its picture is kept in memory. */
const maxPixels = 16 * 1024 * 1024;

/** Shared, so that other viewers stay; asks for pixels as the header says. */
export async function beginPicture(stream: RfbStream): Promise<ServerInit> {
  stream.write(Buffer.from([1]));
  const init = await stream.read(20);
  const [width, height] = [init.readUInt16BE(0), init.readUInt16BE(2)];
  if (width * height > maxPixels) throw refused(`has a screen of ${width} x ${height} pixels`);
  const name = await readText(stream);
  stream.write(Buffer.concat([pixelFormat, rawOnly]));
  return { width, height, name };
}

/** 32 bits, depth 24, little endian, true colour, maxima 255, red in the first byte. */
const pixelFormat = Buffer.from([0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 0, 8, 16, 0, 0, 0]);
const rawOnly = Buffer.from([2, 0, 0, 1, 0, 0, 0, 0]);

/** Bytes of a text of the server that are taken. */
const maxText = 4096;

async function readText({ read }: RfbStream): Promise<string> {
  const length = (await read(4)).readUInt32BE();
  if (length > maxText) throw refused(`sent a text of ${length} bytes`);
  return (await read(length)).toString('utf8');
}

export interface Picture {
  width: number;
  height: number;
  /** Four bytes a pixel, rows from the top. */
  data: Buffer;
}

export const blankPicture = ({ width, height }: Pick<Picture, 'width' | 'height'>): Picture => ({
  width,
  height,
  data: Buffer.alloc(width * height * 4),
});

/**
 * Reads one message of the server, and draws what it brings. Answers the boxes that it drew: none for a bell or a clipboard, and
 * undefined when it was no update at all.
 * @throws AppError guest_refused on anything that was not asked for
 */
export async function readMessage(stream: RfbStream, picture: Picture): Promise<Box[] | undefined> {
  const type = (await stream.read(1)).readUInt8();
  if (type === 0) return readUpdate(stream, picture);
  if (type === 1) await stream.read((await stream.read(5)).readUInt16BE(3) * 6);
  else if (type === 3) await skip(stream, (await stream.read(7)).readUInt32BE(3));
  else if (type !== 2) throw refused(`sent a message of type ${type}`);
  return undefined;
}

/** The clipboard is the guest's to fill: never all of it at once. */
async function skip({ read }: RfbStream, count: number): Promise<void> {
  for (let left = count; left > 0; left -= 65_536) await read(Math.min(left, 65_536));
}

async function readUpdate(stream: RfbStream, picture: Picture): Promise<Box[]> {
  const boxes: Box[] = [];
  for (let count = (await stream.read(3)).readUInt16BE(1); count > 0; count -= 1) {
    const head = await stream.read(12);
    const [x, y, width, height] = [0, 2, 4, 6].map((at) => head.readUInt16BE(at)) as [number, number, number, number];
    if (head.readInt32BE(8) !== 0) throw refused(`sent encoding ${head.readInt32BE(8)}`);
    if (x + width > picture.width || y + height > picture.height)
      throw refused('sent a rectangle that was not asked for');
    const rows = await stream.read(width * height * 4);
    for (let row = 0; row < height; row += 1) {
      rows.copy(picture.data, ((y + row) * picture.width + x) * 4, row * width * 4, (row + 1) * width * 4);
    }
    boxes.push({ x, y, width, height });
  }
  return boxes;
}

const refused = (what: string): AppError => new AppError('guest_refused', `The VNC server ${what}.`);

/** Asks for what is in `box`: all of it, or what has changed since it was last sent. */
export function updateRequest({ x, y, width, height }: Box, incremental: boolean): Buffer {
  const message = Buffer.alloc(10);
  message.writeUInt8(3, 0);
  message.writeUInt8(incremental ? 1 : 0, 1);
  [x, y, width, height].forEach((value, index) => message.writeUInt16BE(value, 2 + 2 * index));
  return message;
}

/** `keysym`: as X11 has them. */
export function keyEvent(keysym: number, down: boolean): Buffer {
  const message = Buffer.from([4, down ? 1 : 0, 0, 0, 0, 0, 0, 0]);
  message.writeUInt32BE(keysym, 4);
  return message;
}

/** `buttons`: one bit each, the left one first. */
export function pointerEvent(x: number, y: number, buttons: number): Buffer {
  const message = Buffer.from([5, buttons, 0, 0, 0, 0]);
  message.writeUInt16BE(Math.round(x), 2);
  message.writeUInt16BE(Math.round(y), 4);
  return message;
}

/** VNC authentication: the challenge encrypted by DES with the password as key, each byte's bits in reverse order. */
export function answerChallenge(challenge: Buffer, password: string): Buffer {
  const key = Buffer.alloc(8);
  Buffer.from(password, 'latin1').copy(key);
  const reversed = Buffer.from(key.map(reverseBits));
  // OpenSSL 3 has no plain DES any more; triple DES with three times the same key is the same function.
  const cipher = createCipheriv('des-ede3-ecb', Buffer.concat([reversed, reversed, reversed]), null);
  cipher.setAutoPadding(false);
  return Buffer.concat([cipher.update(challenge), cipher.final()]);
}

function reverseBits(byte: number): number {
  let result = 0;
  for (let bit = 0; bit < 8; bit += 1) if (byte & (1 << bit)) result |= 0x80 >> bit;
  return result;
}

/** The opening of an RFB 3.8 connection: version, security, pixel format (four bytes: red, green, blue, unused), raw encoding. */
import { createCipheriv } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { ByteReader } from './reader.js';

const security = { none: 1, vncPassword: 2 } as const;

export interface ServerInit {
  width: number;
  height: number;
  name: string;
}

/** @throws Error with the server's own reason when it refuses. */
export async function shakeHands(stream: Duplex, reader: ByteReader, password?: string): Promise<ServerInit> {
  const version = (await reader.take(12)).toString('latin1');
  if (!/^RFB 003\.00[89]|^RFB 003\.889/.test(version))
    throw new Error(`Expected RFB 003.008, found ${JSON.stringify(version)}.`);
  stream.write('RFB 003.008\n');
  const offered = [...(await reader.take((await reader.take(1)).readUInt8()))];
  if (offered.length === 0) throw new Error(`The VNC server refuses: ${await readText(reader)}`);
  const wanted = password === undefined ? security.none : security.vncPassword;
  if (!offered.includes(wanted))
    throw new Error(`The VNC server offers security ${offered.join(', ')}; expected ${wanted}.`);
  stream.write(Buffer.from([wanted]));
  if (password !== undefined) stream.write(vncResponse(await reader.take(16), password));
  if ((await reader.take(4)).readUInt32BE() !== 0) throw new Error(`The VNC server refuses: ${await readText(reader)}`);
  stream.write(Buffer.from([1])); // shared: other viewers stay
  const init = await reader.take(20);
  const name = await readText(reader);
  stream.write(setPixelFormat);
  stream.write(setEncodings);
  return { width: init.readUInt16BE(0), height: init.readUInt16BE(2), name };
}

async function readText(reader: ByteReader): Promise<string> {
  return (await reader.take((await reader.take(4)).readUInt32BE())).toString();
}

/** 32 bits, depth 24, little-endian, true colour, maxima 255, red at 0, green at 8, blue at 16. */
const setPixelFormat = Buffer.from([0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 0, 8, 16, 0, 0, 0]);

/** One encoding: 0, raw. */
const setEncodings = Buffer.from([2, 0, 0, 1, 0, 0, 0, 0]);

/** VNC's own use of DES: the key is the password with the bits of each byte in reverse. */
export function vncResponse(challenge: Buffer, password: string): Buffer {
  const key = Buffer.alloc(8);
  Buffer.from(password, 'latin1').copy(key);
  const reversed = key.map((byte) =>
    Number.parseInt(byte.toString(2).padStart(8, '0').split('').toReversed().join(''), 2),
  );
  // Three times the same key is plain DES, which OpenSSL 3 itself no longer offers.
  const cipher = createCipheriv('des-ede3-ecb', Buffer.concat([reversed, reversed, reversed]), null).setAutoPadding(
    false,
  );
  return Buffer.concat([cipher.update(challenge), cipher.final()]);
}

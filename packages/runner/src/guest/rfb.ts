/**
 * The opening of the RFB protocol (RFC 6143, 7.1): towards x11vnc as a client that knows the password, towards the viewer as
 * a server that asks for none. What follows, from ClientInit on, is passed through untouched.
 */
import { createCipheriv } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { AppError } from '@airlock/contract/errors';
import { readExactly } from './stream.js';

const version = Buffer.from('RFB 003.008\n', 'latin1');
const security = { none: 1, vncAuthentication: 2 } as const;

/** Reads the server's first 12 bytes. @throws AppError guest_unreachable when they are no RFB banner. */
export async function readBanner(stream: Duplex, signal: AbortSignal): Promise<string> {
  const banner = (await readExactly(stream, version.length, signal)).toString('latin1');
  if (/^RFB \d{3}\.\d{3}\n$/.test(banner)) return banner;
  throw new AppError('guest_unreachable', 'The VNC server did not begin with an RFB banner.');
}

/**
 * Signs in to a VNC server (3.8) with `password`; the server then waits for ClientInit.
 * @throws AppError guest_refused when it does not accept the password or offers no known security type.
 */
export async function handshakeAsClient(stream: Duplex, password: string, signal: AbortSignal): Promise<void> {
  const banner = await readBanner(stream, signal);
  if (banner < 'RFB 003.008\n') {
    throw new AppError('guest_refused', `The VNC server speaks ${banner.trim()}; RFB 003.008 is needed.`);
  }
  stream.write(version);
  const count = (await readExactly(stream, 1, signal)).readUInt8();
  if (count === 0) throw new AppError('guest_refused', `The VNC server refused: ${await readReason(stream, signal)}`);
  const offered = await readExactly(stream, count, signal);
  if (offered.includes(security.vncAuthentication)) {
    stream.write(Buffer.from([security.vncAuthentication]));
    stream.write(answerChallenge(await readExactly(stream, 16, signal), password));
  } else if (offered.includes(security.none)) {
    stream.write(Buffer.from([security.none]));
  } else {
    throw new AppError('guest_refused', `The VNC server offers only security types ${[...offered].join(', ')}.`);
  }
  const result = (await readExactly(stream, 4, signal)).readUInt32BE();
  if (result !== 0) {
    throw new AppError('guest_refused', `The VNC server refused the sign-in: ${await readReason(stream, signal)}`);
  }
}

async function readReason(stream: Duplex, signal: AbortSignal): Promise<string> {
  const length = (await readExactly(stream, 4, signal)).readUInt32BE();
  return (await readExactly(stream, Math.min(length, 1024), signal)).toString('utf8');
}

/** Welcomes a viewer with security type None; it sends ClientInit next. @throws AppError invalid_request */
export async function handshakeAsServer(stream: Duplex, signal: AbortSignal): Promise<void> {
  stream.write(version);
  const theirs = await readExactly(stream, version.length, signal);
  if (!theirs.equals(version)) {
    throw new AppError('invalid_request', 'The viewer does not speak RFB 003.008.');
  }
  stream.write(Buffer.from([1, security.none]));
  const choice = (await readExactly(stream, 1, signal)).readUInt8();
  if (choice !== security.none) {
    throw new AppError('invalid_request', `The viewer chose security type ${choice}; only 1 (None) was offered.`);
  }
  stream.write(Buffer.alloc(4));
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

/**
 * The opening of the RFB protocol (RFC 6143, 7.1): towards x11vnc as a client that knows the password, towards the viewer as
 * a server that asks for none. What follows, from ClientInit on, is passed through untouched.
 */
import type { Duplex } from 'node:stream';
import { AppError } from '@airlock/contract/errors';
import { rfbSecurity, rfbVersion, signIn, type RfbStream } from '@airlock/contract/rfb';
import { readExactly } from './stream.js';

/** Takes from `stream` no more than it is asked for: what follows is the viewer's. */
export const openingOf = (stream: Duplex, signal: AbortSignal): RfbStream => ({
  read: (count) => readExactly(stream, count, signal),
  write: (bytes) => void stream.write(bytes),
});

/**
 * Signs in to a VNC server (3.8) with `password`; the server then waits for ClientInit.
 * @throws AppError guest_refused when it does not accept the password or offers no known security type.
 */
export const handshakeAsClient = (stream: Duplex, password: string, signal: AbortSignal): Promise<void> =>
  signIn(openingOf(stream, signal), password);

/** Welcomes a viewer with security type None; it sends ClientInit next. @throws AppError invalid_request */
export async function handshakeAsServer(stream: Duplex, signal: AbortSignal): Promise<void> {
  stream.write(rfbVersion);
  const theirs = await readExactly(stream, rfbVersion.length, signal);
  if (!theirs.equals(rfbVersion)) {
    throw new AppError('invalid_request', 'The viewer does not speak RFB 003.008.');
  }
  stream.write(Buffer.from([1, rfbSecurity.none]));
  const choice = (await readExactly(stream, 1, signal)).readUInt8();
  if (choice !== rfbSecurity.none) {
    throw new AppError('invalid_request', `The viewer chose security type ${choice}; only 1 (None) was offered.`);
  }
  stream.write(Buffer.alloc(4));
}

/** Carries the bytes of a desktop (RFB) between a viewer's WebSocket and the VM, both ways, never faster than either side. */
import type { RawData, WebSocket } from 'ws';
import type { BulkSocket } from '@airlock/contract/bulk-socket';
import type { Log } from '../lib/log.js';

export const closeCodes = {
  /** The VM closed its desktop, as it does when it is stopped. */
  desktopEnded: 1000,
  /** The way to the VM broke. */
  desktopFailed: 1011,
  /** A text message came; RFB is binary. */
  notBinary: 1003,
} as const;

/** Types of the client messages of RFB that a hand makes: key, pointer, clipboard, and the extended form of a key. */
const inputTypes: readonly (number | undefined)[] = [4, 5, 6, 255];

/**
 * Whether a message of the viewer is input, and not only its asking for the next picture. A viewer may put several into one
 * WebSocket message; noVNC sends each by itself, so that the first byte is its type.
 */
export function isInput(data: RawData): boolean {
  return Buffer.isBuffer(data) && inputTypes.includes(data[0]);
}

export interface TunnelOptions {
  log: Log;
  /** Milliseconds between two pings: a still screen sends nothing, and a proxy between (nginx after 60 s) ends what is silent. */
  pingMs: number;
  /** The viewer used the desktop. */
  onInput: () => void;
}

/** Joins the two; when either ends, the other is ended too. Owns both from now on. */
export function joinTunnel(socket: WebSocket, desktop: BulkSocket, { log, pingMs, onInput }: TunnelOptions): void {
  const pings = setInterval(() => socket.ping(), pingMs);
  socket.once('close', () => clearInterval(pings));
  socket.on('message', (data: RawData, isBinary) => {
    if (!isBinary || !Buffer.isBuffer(data))
      return socket.close(closeCodes.notBinary, 'only binary messages are expected');
    if (isInput(data)) onInput();
    if (desktop.write(data)) return;
    socket.pause();
    desktop.once('drain', () => socket.resume());
  });
  desktop.forward((chunk, release) => socket.send(chunk, { binary: true }, release));
  desktop.on('end', () => socket.close(closeCodes.desktopEnded, 'the desktop has ended'));
  desktop.on('error', (error) => {
    log.warn({ err: error }, 'the way to the desktop broke');
    socket.close(closeCodes.desktopFailed, 'the way to the desktop broke');
  });
  desktop.on('close', () => socket.close(closeCodes.desktopFailed, 'the way to the desktop was closed'));
  socket.on('error', (error) => log.info({ err: error }, 'the viewer sent something wrong'));
  socket.on('close', () => desktop.destroy());
  if (desktop.destroyed) socket.close(closeCodes.desktopFailed, 'the way to the desktop was closed');
}

/** The desktop of a VM for one viewer: a connection of its own to x11vnc, authenticated here, joined to the viewer's. */
import type { Duplex } from 'node:stream';
import { connectBulk, type BulkSocket } from '@airlock/contract/bulk-socket';
import { withDeadline } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import type { Address } from '../lib/device.js';
import { handshakeAsClient, handshakeAsServer } from './rfb.js';
import { splice } from './stream.js';

export interface DesktopOptions {
  /** Where x11vnc is reached. */
  to: Address;
  password: string;
  /** Milliseconds for each of the two handshakes. */
  handshakeMs: number;
  /** Ends the connection. */
  signal: AbortSignal;
}

/** A signed-in connection to x11vnc, which waits for ClientInit. @throws AppError guest_unreachable, guest_refused */
export async function openDesktop(options: DesktopOptions): Promise<BulkSocket> {
  const signal = withDeadline(options.signal, options.handshakeMs);
  const vnc = connectBulk({ ...options.to, noDelay: true });
  // Errors after the handshake end the splice; this listener only keeps them from being fatal in between.
  vnc.on('error', () => vnc.destroy());
  try {
    await handshakeAsClient(vnc, options.password, signal);
    return vnc;
  } catch (error) {
    vnc.destroy();
    if (error instanceof AppError) throw error;
    throw new AppError('guest_unreachable', 'The VNC server in the VM did not answer.', { cause: error });
  }
}

/** Welcomes the viewer and shows it the desktop until one side closes, or the signal fires. Closes both. */
export async function showDesktop(viewer: Duplex, vnc: BulkSocket, options: DesktopOptions): Promise<void> {
  const close = (): void => {
    viewer.destroy();
    vnc.destroy();
  };
  options.signal.addEventListener('abort', close, { once: true });
  try {
    await handshakeAsServer(viewer, withDeadline(options.signal, options.handshakeMs));
    await splice(viewer, vnc);
  } finally {
    options.signal.removeEventListener('abort', close);
    close();
  }
}

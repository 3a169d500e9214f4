/** A tunnel: the way of a CONNECT. What the guest sends after its head goes to the target that was judged, and nowhere else. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { withDeadline } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import { hostAndPort } from './target.js';
import { connectMs, openTunnel, patience } from './upstream.js';
import type { Way } from './way.js';

/**
 * Opens the way and joins the guest with it; the guest is not read before that. Resolves when they are joined.
 * @throws AppError egress_failed, upstream_unreachable, upstream_auth_failed; the guest has not been answered
 */
export async function openWay(guest: Socket, way: Way, idleMs: number): Promise<void> {
  const left = new AbortController();
  const onGone = (): void => left.abort(new AppError('aborted', 'The guest has left.'));
  guest.once('close', onGone);
  const signal = withDeadline(left.signal, connectMs);
  const target = await openTarget(way, signal);
  guest.off('close', onGone);
  join(guest, target, idleMs);
}

/** A connection to the target of a way. @throws AppError as `openWay` */
export const openTarget = async (way: Way, signal: AbortSignal): Promise<Socket> =>
  way.upstreamUrl === null ? dial(way, signal) : openTunnel(way.upstreamUrl, hostAndPort(way.target), signal);

async function dial({ target, lookup }: Way, signal: AbortSignal): Promise<Socket> {
  const socket = connect({ ...target, ...patience, ...(lookup && { lookup }), allowHalfOpen: true });
  try {
    await once(socket, 'connect', { signal });
    return socket;
  } catch (error) {
    socket.destroy();
    throw egressFailed(hostAndPort(target), error);
  }
}

/** A target cannot be reached. */
export function egressFailed(target: string, cause: unknown): AppError {
  const { code, message } = cause as NodeJS.ErrnoException;
  return new AppError('egress_failed', `${target} cannot be reached: ${code ?? message}.`, { cause });
}

/** Half-open: each side may send its end first. */
function join(guest: Socket, target: Socket, idleMs: number): void {
  target.setTimeout(idleMs, () => target.destroy());
  target.on('error', () => guest.destroy());
  target.once('close', () => guest.destroySoon());
  guest.once('close', () => target.destroySoon());
  if (guest.destroyed) return target.destroySoon();
  guest.write('HTTP/1.1 200 Connection Established\r\n\r\n');
  guest.pipe(target);
  target.pipe(guest);
}

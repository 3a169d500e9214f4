/** Server-sent events of one session: the current state at once, each change, the end. */
import type { PassThrough } from 'node:stream';
import { isFinal, type Session } from '@airlock/contract/session';
import { openEventStream } from './event-stream.js';

export type Subscribe = (listener: (session: Session) => void) => Promise<() => void>;

/** Text that waits for a viewer who does not read; past this the stream is given up, and the page connects anew. */
const maxBacklog = 1024 * 1024;

/**
 * A stream that follows the session until it is final; leaving it (destroy) unsubscribes.
 * Each event: `event: session`, `id: <revision>`, the whole session as data. Older revisions are never sent after newer ones.
 */
export async function sessionEvents(subscribe: Subscribe, heartbeatMs: number): Promise<PassThrough> {
  const { stream, send } = openEventStream(heartbeatMs);
  let sent = -1;
  const listener = (session: Session): void => {
    if (stream.writableEnded || stream.destroyed || session.revision <= sent) return;
    sent = session.revision;
    send({ event: 'session', id: session.revision, data: JSON.stringify(session) });
    if (isFinal(session.status)) stream.end();
    else if (stream.writableLength > maxBacklog) stream.destroy();
  };
  try {
    const unsubscribe = await subscribe(listener);
    stream.once('close', unsubscribe);
    if (stream.closed) unsubscribe();
    return stream;
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

/** A stream of server-sent events to one reader, with a sign of life now and then. Whoever ends or destroys it ends that too. */
import { PassThrough } from 'node:stream';
import { eventText, signOfLife } from '@airlock/contract/event-stream';

export interface EventStream {
  readonly stream: PassThrough;
  /** False when the reader is behind: `drain` tells when it is not any more. */
  send(event: Parameters<typeof eventText>[0]): boolean;
}

export function openEventStream(heartbeatMs: number): EventStream {
  const stream = new PassThrough();
  const live = (): void => {
    if (!stream.writableEnded && !stream.writableNeedDrain) stream.write(signOfLife);
  };
  const heartbeat = setInterval(live, heartbeatMs);
  stream.once('close', () => clearInterval(heartbeat));
  return { stream, send: (event) => stream.write(eventText(event)) };
}

/** Server-sent events of an answer, read by `fetch`: an EventSource could not send the page secret. */
import { inTime } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import { readEvents, type ServerEvent } from '@airlock/contract/event-stream';

/** The controller gives a sign of life every 15 s; milliseconds of silence after which it is given up. */
const silenceMs = 60_000;

/** The events as they come. Whoever stops reading ends the stream. @throws AppError internal when it falls silent */
export const eventsOf = (stream: ReadableStream<Uint8Array>, silence = silenceMs): AsyncGenerator<ServerEvent, void> =>
  readEvents(piecesOf(stream, silence));

export const brokenOff = (why: string): AppError =>
  new AppError('internal', `The answer broke off: ${why}.`, {
    hint: 'Check the connection to Airlock, and ask again.',
  });

async function* piecesOf(stream: ReadableStream<Uint8Array>, silence: number): AsyncGenerator<string> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  const silent = (): AppError => brokenOff(`nothing came for ${silence / 1000} s`);
  try {
    for (;;) {
      const { value, done } = await inTime(reader.read(), silence, silent);
      if (done) return;
      yield decoder.decode(value, { stream: true });
    }
  } finally {
    // Whoever stops reading has had enough: a prompt, for one, is not to go on for nobody.
    await reader.cancel().catch(() => undefined);
  }
}

/** Reads the stream of events that answers a prompt. Pure but for the reading. */
import { PromptEvent } from '@airlock/contract/api';
import { inTime } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import { endOfEvents, readEvents as readServerEvents } from '@airlock/contract/event-stream';

/** The controller gives a sign of life every 15 s; milliseconds of silence after which it is given up. */
export const silenceMs = 60_000;

/**
 * The events, as they come, until the stream's own end.
 * @throws AppError internal when the stream breaks off, falls silent or is outside of the contract
 */
export async function* readEvents(
  stream: ReadableStream<Uint8Array>,
  silence = silenceMs,
): AsyncGenerator<PromptEvent> {
  for await (const { data } of readServerEvents(piecesOf(stream, silence))) {
    if (data === endOfEvents) return;
    yield parseEvent(data);
  }
  throw brokenOff('it ended without saying so');
}

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
    // Whoever stops reading has had enough: the prompt is not to go on for nobody.
    await reader.cancel().catch(() => undefined);
  }
}

function parseEvent(data: string): PromptEvent {
  let json: unknown;
  try {
    json = JSON.parse(data);
  } catch {
    json = undefined;
  }
  const parsed = PromptEvent.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new AppError('internal', 'The answer is outside of the API contract.', {
    hint: 'Reload this page: it may be older than the controller.',
    cause: parsed.error,
  });
}

const brokenOff = (why: string): AppError =>
  new AppError('internal', `The answer broke off: ${why}.`, {
    hint: 'Check the connection to Airlock, and ask again.',
  });

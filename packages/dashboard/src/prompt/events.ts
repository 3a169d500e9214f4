/** Reads the stream of events that answers a prompt. Pure but for the reading. */
import { PromptEvent } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import { endOfEvents } from '@airlock/contract/event-stream';
import { brokenOff, eventsOf } from '../api/events.js';

/**
 * The events, as they come, until the stream's own end.
 * @throws AppError internal when the stream breaks off, falls silent or is outside of the contract
 */
export async function* readEvents(stream: ReadableStream<Uint8Array>, silence?: number): AsyncGenerator<PromptEvent> {
  for await (const { data } of eventsOf(stream, silence)) {
    if (data === endOfEvents) return;
    yield parseEvent(data);
  }
  throw brokenOff('it ended without saying so');
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

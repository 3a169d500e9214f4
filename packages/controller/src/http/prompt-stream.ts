/** Server-sent events of one prompt: `data: <event>` each, `data: [DONE]` at the end. Leaving the stream cancels the prompt. */
import { once } from 'node:events';
import type { PassThrough } from 'node:stream';
import { AppError } from '@airlock/contract/errors';
import { endOfEvents } from '@airlock/contract/event-stream';
import type { PromptEvent } from '@airlock/contract/api';
import { openEventStream } from './event-stream.js';
import type { PromptRun } from '../prompt/prompt.js';

/** Starts the prompt. No more of its answer is taken than the reader of the stream takes. */
export function promptStream(run: PromptRun, heartbeatMs: number): PassThrough {
  const { stream, send } = openEventStream(heartbeatMs);
  const gone = new AbortController();
  stream.once('close', () => gone.abort(new AppError('aborted', 'The caller has hung up.')));
  async function emit(event: PromptEvent): Promise<void> {
    if (gone.signal.aborted || send({ data: JSON.stringify(event) })) return;
    await once(stream, 'drain', { signal: gone.signal }).catch((error: unknown) => {
      if (!gone.signal.aborted) throw error;
    });
  }
  run(emit, gone.signal).then(
    () => {
      send({ data: endOfEvents });
      stream.end();
    },
    (error: unknown) => stream.destroy(AppError.from(error)),
  );
  return stream;
}

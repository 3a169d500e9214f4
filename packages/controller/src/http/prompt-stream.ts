/** Server-sent events of one prompt: `data: <event>` each, `data: [DONE]` at the end. Leaving the stream cancels the prompt. */
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { AppError } from '@airlock/contract/errors';
import type { PromptEvent } from '@airlock/contract/api';
import type { PromptRun } from '../prompt/prompt.js';

/** Starts the prompt. No more of its answer is taken than the reader of the stream takes. */
export function promptStream(run: PromptRun, heartbeatMs: number): PassThrough {
  const stream = new PassThrough();
  const gone = new AbortController();
  const heartbeat = setInterval(() => !stream.writableNeedDrain && stream.write(': still here\n\n'), heartbeatMs);
  stream.once('close', () => {
    clearInterval(heartbeat);
    gone.abort(new AppError('aborted', 'The caller has hung up.'));
  });
  async function emit(event: PromptEvent): Promise<void> {
    if (gone.signal.aborted || stream.write(`data: ${JSON.stringify(event)}\n\n`)) return;
    await once(stream, 'drain', { signal: gone.signal }).catch((error: unknown) => {
      if (!gone.signal.aborted) throw error;
    });
  }
  void run(emit, gone.signal).then(() => {
    clearInterval(heartbeat);
    stream.end('data: [DONE]\n\n');
  });
  return stream;
}

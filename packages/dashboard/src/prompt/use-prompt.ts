/** Asks a connected CLI something; one prompt at a time, which ends with the page that asked it. */
import type { Provider } from '@airlock/contract/provider/provider';
import { AppError } from '@airlock/contract/errors';
import { useEffect, useRef, useState } from 'react';
import { useApi } from '../api/api-context.js';
import { serverNowMs } from '../api/clock.js';
import { ended, newAnswer, withEvent, type PromptAnswer } from './answer.js';
import { readEvents } from './events.js';

export interface Question {
  provider: Provider;
  text: string;
  /** As long as the controller allows, when there is none. */
  timeoutS?: number;
}

export function usePrompt() {
  const api = useApi();
  const [answer, setAnswer] = useState<PromptAnswer | null>(null);
  const running = useRef<AbortController | null>(null);

  async function ask({ provider, text, timeoutS }: Question): Promise<void> {
    running.current?.abort();
    const cancel = new AbortController();
    running.current = cancel;
    const update = (change: (answer: PromptAnswer) => PromptAnswer) =>
      setAnswer((now) => (now === null || running.current !== cancel ? now : change(now)));
    setAnswer(newAnswer(provider.name, serverNowMs()));
    try {
      const body = { provider: provider.id, prompt: text, ...(timeoutS !== undefined && { timeoutS }) };
      for await (const event of readEvents(await api.prompt(body, cancel.signal))) {
        update((now) => withEvent(now, event));
      }
    } catch (error) {
      if (!cancel.signal.aborted) update((now) => withEvent(now, { error: AppError.from(error).toBody() }));
    } finally {
      update((now) => ended(now, cancel.signal.aborted ? 'cancelled' : 'ended', serverNowMs()));
    }
  }
  const cancel = (): void => running.current?.abort();
  useEffect(() => () => running.current?.abort(), []);
  return { answer, ask, cancel };
}

/** One prompt as the page shows it: what has come so far, and how it ended. Pure. */
import type { PromptEvent } from '@airlock/contract/api';
import type { ErrorBody } from '@airlock/contract/errors';

export interface PromptAnswer {
  /** Name of the CLI that was asked. */
  cli: string;
  state: 'running' | 'ended' | 'cancelled';
  /** What is done until more of the answer comes; null while it comes. */
  status: string | null;
  text: string;
  /** The beginning was too much to keep. */
  isCut: boolean;
  error: ErrorBody | null;
  /** The CLI's; null when it did not end by itself, undefined as long as it is not known. */
  exitCode: number | null | undefined;
  /** Unix epoch milliseconds. */
  startedAt: number;
  endedAt: number | null;
}

/** Characters of an answer that the page keeps: a browser shows them without trouble. */
const keptCharacters = 200_000;

export const newAnswer = (cli: string, now: number): PromptAnswer => ({
  ...{ cli, state: 'running', status: 'asking Airlock', text: '', isCut: false, error: null },
  ...{ exitCode: undefined, startedAt: now, endedAt: null },
});

export function withEvent(answer: PromptAnswer, event: PromptEvent): PromptAnswer {
  if ('status' in event) return { ...answer, status: event.status };
  if ('error' in event) return { ...answer, status: null, error: event.error };
  if ('exitCode' in event) return { ...answer, status: null, exitCode: event.exitCode };
  const text = answer.text + event.chunk;
  const isCut = answer.isCut || text.length > keptCharacters;
  return { ...answer, status: null, text: text.slice(-keptCharacters), isCut };
}

export const ended = (answer: PromptAnswer, state: 'ended' | 'cancelled', now: number): PromptAnswer => ({
  ...answer,
  state,
  status: null,
  endedAt: now,
});

/** How it stands, in a few words without the time. */
export function describeAnswer({ state, status, cli, exitCode }: PromptAnswer): string {
  if (state === 'cancelled') return 'Cancelled';
  if (state === 'running') return status === null ? `${cli} is answering` : `${capital(status)}…`;
  if (exitCode === undefined) return 'Broke off';
  return exitCode === null ? `${cli} did not end by itself` : `Exit code ${exitCode}`;
}

const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

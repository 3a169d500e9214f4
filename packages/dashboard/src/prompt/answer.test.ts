import type { PromptEvent } from '@airlock/contract/api';
import { expect, it } from 'vitest';
import { describeAnswer, ended, newAnswer, withEvent, type PromptAnswer } from './answer.js';

const after = (...events: PromptEvent[]): PromptAnswer => events.reduce(withEvent, newAnswer('Codex', 0));
const error = { code: 'prompt_timeout', message: 'Too slow.', hint: '' } as const;

it.each<[PromptEvent[], string]>([
  [[{ status: 'starting the CLI VM' }], 'Starting the CLI VM…'],
  [[{ status: 'asking Codex' }, { chunk: 'a' }], 'Codex is answering'],
  [[{ chunk: 'a' }, { status: 'Codex: reconnecting: 1/5' }], 'Codex: reconnecting: 1/5…'],
  [[{ status: 'Codex: reconnecting: 1/5' }, { chunk: 'a' }], 'Codex is answering'],
])('%j while it runs: %s', (events, words) => expect(describeAnswer(after(...events))).toBe(words));

it.each<[PromptEvent[], string]>([
  [[{ chunk: 'a' }, { exitCode: 0 }], 'Exit code 0'],
  [[{ error }, { exitCode: 3 }], 'Exit code 3'],
  [[{ error }, { exitCode: null }], 'Codex did not end by itself'],
  [[{ chunk: 'a' }], 'Broke off'],
])('%j at the end: %s', (events, words) => expect(describeAnswer(ended(after(...events), 'ended', 9))).toBe(words));

it('keeps what came before an error, and why it came', () => {
  expect(after({ chunk: 'a' }, { chunk: 'b' }, { error }, { exitCode: null })).toMatchObject({ text: 'ab', error });
});

it('keeps the end of an answer that is too long', () => {
  const long = after({ chunk: 'x'.repeat(200_000) }, { chunk: 'the end' });
  expect([long.text.length, long.isCut, long.text.endsWith('xthe end')]).toEqual([200_000, true, true]);
});

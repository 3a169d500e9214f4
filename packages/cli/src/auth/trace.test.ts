import { expect, it } from 'vitest';
import type { Session } from '@airlock/contract/session';
import { describeTrace } from './trace.js';

const at = (seconds: number): string => new Date(1_900_000_000_000 + seconds * 1000).toISOString();
const step = (name: string, from: number, to: number | null, status = 'done'): object => ({
  ...{ name, title: name, status, detail: null, startedAt: at(from), finishedAt: to === null ? null : at(to) },
});
const of = (steps: object[], updated: number): Session =>
  ({
    ...{ id: 'ses_0123456789abcdef', provider: 'codex', status: 'completed', createdAt: at(0), updatedAt: at(updated) },
    steps,
  }) as unknown as Session;

it('draws each step where it was, and as long as it took', () => {
  const session = of([step('browser_vm', 0, 10), step('desktop', 10, 30, 'failed'), step('person', 30, null)], 40);
  const bar = (before: number, length: number): string => `${' '.repeat(before)}${'█'.repeat(length)}`;
  expect(describeTrace(session).split('\n')).toEqual([
    'ses_0123456789abcdef codex completed, 40.0 s',
    'STEP        AT      TOOK',
    `browser_vm  0.0 s   10.0 s         ${bar(0, 10)}`,
    `desktop     10.0 s  20.0 s failed  ${bar(10, 20)}`,
    `person      30.0 s  10.0 s so far  ${bar(30, 10)}`,
  ]);
});

it('says so of a sign-in in which nothing has begun', () => {
  expect(describeTrace(of([], 0)).split('\n')).toEqual([
    'ses_0123456789abcdef codex completed, 0.0 s',
    'STEP  AT  TOOK',
  ]);
});

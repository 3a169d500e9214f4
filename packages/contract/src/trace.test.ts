import { expect, it } from 'vitest';
import type { Session, SessionStep } from './session.js';
import { otlpOf, traceOf } from './trace.js';

const at = (seconds: number): string => new Date(1_900_000_000_000 + seconds * 1000).toISOString();
const step = (name: SessionStep['name'], from: number | null, to: number | null): SessionStep => ({
  ...{ name, title: `Do ${name}`, status: to === null ? 'running' : 'done', detail: null },
  ...{ startedAt: from === null ? null : at(from), finishedAt: to === null ? null : at(to) },
});
const session = {
  ...{
    id: 'ses_0123456789abcdef',
    provider: 'codex',
    status: 'awaiting_user_auth',
    createdAt: at(0),
    updatedAt: at(30),
  },
  steps: [
    step('browser_vm', 0.1, 7),
    step('cli_vm', 9, 20),
    step('desktop', 7, 24.5),
    step('person', 25, null),
    { ...step('credential', null, null), status: 'waiting' as const },
  ],
} as unknown as Session;

it('has what has begun, in its order, from the start of the session', () => {
  const { durationMs, spans } = traceOf(session);
  expect(durationMs).toBe(30_000);
  expect(spans.map(({ name, atMs, durationMs: ms, isOpen }) => [name, atMs, ms, isOpen])).toEqual([
    ['browser_vm', 100, 6900, false],
    ['desktop', 7000, 17_500, false],
    ['cli_vm', 9000, 11_000, false],
    ['person', 25_000, 5000, true],
  ]);
});

it('has no time that goes backwards, whatever clocks say', () => {
  const odd = { ...session, updatedAt: at(-5), steps: [step('browser_vm', 3, 1)] };
  expect(traceOf(odd)).toMatchObject({ durationMs: 0, spans: [{ durationMs: 0 }] });
});

it('is one trace of OTLP, the same each time', () => {
  const otlp = otlpOf(session) as {
    resourceSpans: { scopeSpans: { spans: Record<string, string>[] }[] }[];
  };
  expect(otlpOf(session)).toEqual(otlp);
  const spans = otlp.resourceSpans[0]?.scopeSpans[0]?.spans ?? [];
  expect(spans.map(({ name }) => name)).toEqual(['sign-in', 'browser_vm', 'desktop', 'cli_vm', 'person']);
  const [root, ...others] = spans;
  expect(root).toMatchObject({ startTimeUnixNano: '1900000000000000000', endTimeUnixNano: '1900000030000000000' });
  expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1);
  expect(root?.['traceId']).toMatch(/^[0-9a-f]{32}$/);
  expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(spans.length);
  for (const span of others) expect(span['parentSpanId']).toBe(root?.['spanId']);
  for (const { spanId } of spans) expect(spanId).toMatch(/^[0-9a-f]{16}$/);
});

/** Where the time of a sign-in went: its steps as spans, for a person and as OTLP/JSON for whatever collects traces. Pure. */
import { createHash } from 'node:crypto';
import type { Session, SessionStep } from './session.js';

export interface Span {
  name: SessionStep['name'];
  title: string;
  /** Milliseconds from the start of the session. */
  atMs: number;
  durationMs: number;
  /** It went on when the session was looked at. */
  isOpen: boolean;
  failed: boolean;
}

export interface Trace {
  /** Milliseconds from the start of the session to its last change. */
  durationMs: number;
  /** Steps that have begun, by when they did: some run beside others. */
  spans: Span[];
}

export function traceOf(session: Pick<Session, 'createdAt' | 'updatedAt' | 'steps'>): Trace {
  const begin = Date.parse(session.createdAt);
  const end = Math.max(begin, Date.parse(session.updatedAt));
  const spans = session.steps.flatMap(({ name, title, status, startedAt, finishedAt }): Span[] => {
    if (startedAt === null) return [];
    const startMs = Date.parse(startedAt);
    const endMs = Math.max(startMs, finishedAt === null ? end : Date.parse(finishedAt));
    const isOpen = finishedAt === null;
    return [{ name, title, atMs: startMs - begin, durationMs: endMs - startMs, isOpen, failed: status === 'failed' }];
  });
  return { durationMs: end - begin, spans: spans.toSorted((a, b) => a.atMs - b.atMs) };
}

/**
 * One export request of OTLP/JSON (opentelemetry.io/docs/specs/otlp, JSON encoding: ids in hex, times as decimal strings of nanoseconds).
 * Ids follow from the session's, so that the same session is always the same trace.
 */
export function otlpOf(session: Session): object {
  const { durationMs, spans } = traceOf(session);
  const begin = Date.parse(session.createdAt);
  const nano = (ms: number): string => String(BigInt(Math.round(begin + ms)) * 1_000_000n);
  const hex = (text: string, bytes: number): string =>
    createHash('sha256')
      .update(text)
      .digest('hex')
      .slice(0, 2 * bytes);
  const traceId = hex(session.id, 16);
  const rootId = hex(`${session.id} session`, 8);
  const text = (key: string, stringValue: string): object => ({ key, value: { stringValue } });
  const span = (name: string, atMs: number, lengthMs: number, failed: boolean): object => ({
    ...{ traceId, name, kind: 1, startTimeUnixNano: nano(atMs), endTimeUnixNano: nano(atMs + lengthMs) },
    status: { code: failed ? 2 : 1 },
  });
  const attributes = [text('airlock.session', session.id), text('airlock.provider', session.provider)];
  const isFailed = session.status === 'failed' || session.status === 'timeout';
  const all = [
    { ...span('sign-in', 0, durationMs, isFailed), spanId: rootId, attributes },
    ...spans.map(({ name, atMs, durationMs: lengthMs, failed }) => ({
      ...span(name, atMs, lengthMs, failed),
      ...{ spanId: hex(`${session.id} ${name}`, 8), parentSpanId: rootId, attributes },
    })),
  ];
  const resource = { attributes: [text('service.name', 'airlock')] };
  return { resourceSpans: [{ resource, scopeSpans: [{ scope: { name: 'airlock' }, spans: all }] }] };
}

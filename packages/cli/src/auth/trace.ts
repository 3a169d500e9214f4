/** `airlock auth trace`: where the time of a sign-in went, drawn with characters. */
import type { Session } from '@airlock/contract/session';
import { otlpOf, traceOf } from '@airlock/contract/trace';
import { inertJson, print, printJson, table } from '../lib/output.js';

export interface TraceFlags {
  json?: boolean;
  otlp?: boolean;
}

/** Characters of the longest bar. */
const width = 40;
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

export function showTrace(session: Session, { json, otlp }: TraceFlags): void {
  // A collector reads one request a line.
  if (otlp) print(inertJson(otlpOf(session)));
  else if (json) printJson(traceOf(session));
  else print(describeTrace(session));
}

export function describeTrace(session: Session): string {
  const { durationMs, spans } = traceOf(session);
  const columns = (ms: number): number => (durationMs === 0 ? 0 : Math.round((ms / durationMs) * width));
  const rows = spans.map(({ name, atMs, durationMs: ms, isOpen, failed }) => [
    name,
    seconds(atMs),
    `${seconds(ms)}${isOpen ? ' so far' : failed ? ' failed' : ''}`,
    `${' '.repeat(Math.min(columns(atMs), width - 1))}${'█'.repeat(Math.max(1, columns(ms)))}`,
  ]);
  const head = `${session.id} ${session.provider} ${session.status}, ${seconds(durationMs)}`;
  return `${head}\n${table(['STEP', 'AT', 'TOOK', ''], rows)}`;
}

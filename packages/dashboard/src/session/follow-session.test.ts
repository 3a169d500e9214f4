import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { eventText, signOfLife } from '@airlock/contract/event-stream';
import { Session, sessionSteps, type StepName } from '@airlock/contract/session';
import { followSession } from './follow-session.js';

const at = new Date(0).toISOString();
const session = Session.parse({
  ...{ id: 'ses_0123456789abcdef', sessionId: 'ses_0123456789abcdef', provider: 'codex', createdAt: at, updatedAt: at },
  ...{ status: 'ready', revision: 1, deadlineAt: at, expiresAt: at, expiresAtMost: at, destroyAt: null },
  ...{ browserVmId: null, cliVmId: null, desktopReady: false, notice: null, error: null, login: null },
  steps: Object.entries(sessionSteps).map(([name, title]) => {
    return { name: name as StepName, title, status: 'waiting', startedAt: null, finishedAt: null, detail: null };
  }),
});
const eventOf = (status: Session['status'], revision: number): string =>
  eventText({ event: 'session', id: revision, data: JSON.stringify({ ...session, status, revision }) });

/** Streams as the controller gives them, one for each call; `null` is a call that fails. */
function play(...streams: (readonly string[] | null)[]) {
  const told: string[] = [];
  const signals: AbortSignal[] = [];
  const stop = followSession({
    open: async (signal) => {
      signals.push(signal);
      const pieces = streams.shift();
      if (!pieces) throw new Error('refused');
      return new ReadableStream({
        start: (controller) => {
          for (const piece of pieces) controller.enqueue(new TextEncoder().encode(piece));
          if (!pieces.includes('held open')) controller.close();
        },
        cancel: () => void told.push('left'),
      });
    },
    onSession: ({ status }) => told.push(status),
    onConnection: (open) => told.push(open ? 'open' : 'broken'),
  });
  return { told, signals, stop };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('tells each session, and ends after a final one', async () => {
  const { told, signals } = play([eventOf('ready', 1), signOfLife, eventOf('completed', 2), 'held open']);
  await vi.runAllTimersAsync();
  expect(told).toEqual(['open', 'ready', 'completed', 'left']);
  expect(signals).toHaveLength(1);
});

test('comes again when a stream breaks, is refused or says what nobody understands', async () => {
  const wrong = eventText({ event: 'session', data: '{"status":"new"}' });
  const { told } = play([eventOf('ready', 1)], null, null, [wrong], [eventOf('failed', 2)]);
  await vi.runAllTimersAsync();
  expect(told).toEqual(['open', 'ready', 'broken', 'open', 'broken', 'open', 'failed']);
});

test('who leaves hears nothing more, and does not come again', async () => {
  const { told, signals, stop } = play([eventOf('ready', 1)], [eventOf('completed', 2)]);
  await vi.advanceTimersByTimeAsync(1);
  stop();
  await vi.runAllTimersAsync();
  expect(told).toEqual(['open', 'ready', 'broken']);
  expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
});

import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test, vi } from 'vitest';
import type { Log } from './log.js';
import { startLoop, type Loop } from './loop.js';

const loops: Loop[] = [];
afterEach(async () => {
  await Promise.all(loops.splice(0).map((loop) => loop.stop()));
});

function run(turn: () => Promise<void>, more: { everyMs?: number; atOnce?: boolean } = {}) {
  const error = vi.fn<Log['error']>();
  const loop = startLoop({ name: 'test', everyMs: 1, turn, log: { error }, ...more });
  loops.push(loop);
  return { loop, error };
}

test('takes turn after turn, never two at once', async () => {
  let now = 0;
  let most = 0;
  const turn = vi.fn<() => Promise<void>>(async () => {
    most = Math.max(most, (now += 1));
    await delay(5);
    now -= 1;
  });
  run(turn);
  expect(turn).not.toHaveBeenCalled();
  await vi.waitUntil(() => turn.mock.calls.length > 3);
  expect(most).toBe(1);
});

test('begins at once where that is asked for', () => {
  const turn = vi.fn<() => Promise<void>>(async () => undefined);
  run(turn, { everyMs: 60_000, atOnce: true });
  expect(turn).toHaveBeenCalledOnce();
});

test('goes on after a turn that failed, also before it waited for anything, and says so', async () => {
  const failure = new Error('no');
  const turn = vi
    .fn<() => Promise<void>>(async () => undefined)
    .mockImplementationOnce(() => {
      throw failure;
    });
  const { error } = run(turn);
  await vi.waitUntil(() => turn.mock.calls.length > 1);
  expect(error).toHaveBeenCalledExactlyOnceWith({ err: failure, loop: 'test' }, expect.stringContaining('failed'));
});

test('stop waits for the turn under way, and no other one follows', async () => {
  let end = (): void => undefined;
  const turn = vi.fn<() => Promise<void>>(() => new Promise<void>((resolve) => (end = resolve)));
  const { loop } = run(turn, { atOnce: true });
  const stopped = vi.fn<() => void>();
  const stopping = loop.stop().then(stopped);
  await delay(10);
  expect(stopped).not.toHaveBeenCalled();
  end();
  await stopping;
  await delay(10);
  expect(turn).toHaveBeenCalledOnce();
});

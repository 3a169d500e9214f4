import { expect, test } from 'vitest';
import { createBackground } from './background.js';

test('work that fails while nobody waits is logged, and ends nothing', async () => {
  const told: unknown[] = [];
  const background = createBackground({ error: (facts, what) => told.push([what, facts]) });
  const failure = new Error('the statement failed');
  let isDone = false;
  background.own(Promise.reject(failure), 'a step could not be noted', { sessionId: 'ses_1' });
  background.own(
    new Promise((resolve) => setImmediate(resolve)).then(() => (isDone = true)),
    'something else',
  );
  await background.settled();
  expect(told).toEqual([['a step could not be noted', { err: failure, sessionId: 'ses_1' }]]);
  expect(isDone).toBe(true);
});

import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { withDeadline } from './deadline.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

it('fires after its time, also when garbage was collected in between', async () => {
  const signal = withDeadline(new AbortController().signal, 100);
  const fired = once(signal, 'abort');
  await setImmediate();
  collectGarbage();
  await fired;
  expect(signal.reason).toMatchObject({ name: 'TimeoutError', message: 'The operation took longer than 100 ms.' });
}, 5_000);

it('fires with the signal that it was given', () => {
  const abort = new AbortController();
  const signal = withDeadline(abort.signal, 60_000);
  abort.abort(new Error('enough'));
  expect(signal.reason).toMatchObject({ message: 'enough' });
  expect(withDeadline(AbortSignal.abort(new Error('before')), 1).reason).toMatchObject({ message: 'before' });
});

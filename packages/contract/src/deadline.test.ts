import { getEventListeners, once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { aborted, inTime, raceAbort, startLimit, withDeadline } from './deadline.js';
import { AppError } from './errors.js';

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

it('gives up waiting for work when the signal fires, with its reason', async () => {
  const abort = new AbortController();
  const forever = new Promise<never>(() => undefined);
  const waiting = raceAbort(forever, abort.signal);
  abort.abort(new AppError('shutting_down', 'It is over.'));
  await expect(waiting).rejects.toMatchObject({ code: 'shutting_down' });
  await expect(raceAbort(forever, abort.signal)).rejects.toMatchObject({ code: 'shutting_down' });
  await expect(raceAbort(Promise.resolve(1), abort.signal)).rejects.toMatchObject({ code: 'shutting_down' });
});

it('passes on what the work came to, and leaves nothing at the signal', async () => {
  const { signal } = new AbortController();
  expect(await raceAbort(Promise.resolve(1), signal)).toBe(1);
  await expect(raceAbort(Promise.reject(new Error('no')), signal)).rejects.toThrow('no');
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

it('gives up waiting for work when its time is over', async () => {
  const late = (): Error => new Error('too late');
  await expect(inTime(new Promise(() => undefined), 1, late)).rejects.toThrow('too late');
  expect(await inTime(Promise.resolve(1), 60_000, late)).toBe(1);
});

it('tells when a signal has fired', async () => {
  const abort = new AbortController();
  const told = aborted(abort.signal);
  abort.abort();
  await expect(told).resolves.toBeUndefined();
  await expect(aborted(abort.signal)).resolves.toBeUndefined();
});

it('limits a wait by a time and by a signal, whichever is first, and keeps nothing after its end', async () => {
  const late = (): Error => new Error('too late');
  const { signal } = startLimit(1, late);
  await once(signal, 'abort');
  expect(signal.reason).toMatchObject({ message: 'too late' });
  const caller = new AbortController();
  const [ended, waiting] = [startLimit(60_000, late, caller.signal), startLimit(null, late, caller.signal)];
  ended.end();
  expect(getEventListeners(caller.signal, 'abort')).toHaveLength(1);
  caller.abort(new Error('enough'));
  expect([ended.signal.aborted, waiting.signal.aborted]).toEqual([false, true]);
  expect(waiting.signal.reason).toMatchObject({ message: 'enough' });
  expect(getEventListeners(caller.signal, 'abort')).toHaveLength(0);
  expect(startLimit(60_000, late, caller.signal).signal.aborted).toBe(true);
});

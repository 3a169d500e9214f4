import { expect, test, vi } from 'vitest';
import { createQueue, createShared } from './keyed.js';

/** Work that ends when it is told to. */
function held<T>() {
  let end: { resolve: (value: T) => void; reject: (error: Error) => void } | undefined;
  const promise = new Promise<T>((resolve, reject) => (end = { resolve, reject }));
  return {
    work: vi.fn<() => Promise<T>>(() => promise),
    resolve: (value: T) => end?.resolve(value),
    reject: (error: Error) => end?.reject(error),
  };
}

test('a queue does the work of one key in order, also after a failure, and other keys meanwhile', async () => {
  const queue = createQueue();
  const [first, second, other] = [held<string>(), held<string>(), held<string>()];
  const one = queue.run('a', first.work);
  const two = queue.run('a', second.work);
  void queue.run('b', other.work);
  expect([first, second, other].map(({ work }) => work.mock.calls.length)).toEqual([1, 0, 1]);
  first.reject(new Error('no'));
  await expect(one).rejects.toThrow('no');
  second.resolve('second');
  expect(await two).toBe('second');
  expect([queue.has('a'), queue.has('b')]).toEqual([false, true]);
  other.resolve('other');
});

test('shared work is done once for all who ask meanwhile, and anew afterwards', async () => {
  const shared = createShared<string>();
  const [first, second] = [held<string>(), held<string>()];
  const both = [shared.run('a', first.work), shared.run('a', second.work)];
  first.resolve('first');
  expect(await Promise.all(both)).toEqual(['first', 'first']);
  second.resolve('second');
  expect(await shared.run('a', second.work)).toBe('second');
  expect(first.work).toHaveBeenCalledOnce();
});

test('settled waits for what is under way, however it ends', async () => {
  const queue = createQueue();
  await queue.settled('a');
  const { work, reject } = held<void>();
  const done = queue.run('a', work);
  const settled = vi.fn<() => void>();
  const waiting = queue.settled('a').then(settled);
  await Promise.resolve();
  expect(settled).not.toHaveBeenCalled();
  reject(new Error('no'));
  await waiting;
  expect(queue.has('a')).toBe(false);
  await expect(done).rejects.toThrow('no');
});

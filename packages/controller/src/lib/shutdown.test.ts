import { expect, test } from 'vitest';
import { pino } from 'pino';
import { createShutdown } from './shutdown.js';

const silent = pino({ level: 'silent' });

test('runs the steps once, last registered first', async () => {
  const order: string[] = [];
  const shutdown = createShutdown(silent, 1000);
  for (const name of ['lock', 'store', 'http']) shutdown.add(name, async () => void order.push(name));
  expect(await Promise.all([shutdown.run('SIGINT'), shutdown.run('SIGTERM')])).toEqual([true, true]);
  expect(order).toEqual(['http', 'store', 'lock']);
});

test('a step that fails or never ends does not keep the others from running', async () => {
  const order: string[] = [];
  const shutdown = createShutdown(silent, 50);
  shutdown.add('lock', async () => void order.push('lock'));
  shutdown.add('stuck', () => new Promise(() => undefined));
  shutdown.add('broken', () => Promise.reject(new Error('broken')));
  expect(await shutdown.run('SIGTERM')).toBe(false);
  expect(order).toEqual(['lock']);
});

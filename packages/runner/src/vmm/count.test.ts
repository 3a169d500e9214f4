/** Watching a guest count, with programs that stand for a VMM. */
import { expect, it } from 'vitest';
import { watchCount } from './count.js';

/** Writes a byte, and one more after each `ms` of processor time. */
const counts = (ms: number): string =>
  `const used = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1000; };
   const { writeSync } = require('node:fs');
   writeSync(1, '.');
   for (let begin = used(), millions = 0; ;) if (used() - begin > (millions + 1) * ${ms}) { millions++; writeSync(1, '.'); }`;
const watch = (code: string, limitMs = 20_000) => watchCount(process.execPath, ['-e', code], limitMs);

it('tells what was counted, and in how much processor time', { timeout: 30_000 }, async () => {
  const { millions, cpuMs } = await watch(counts(20));
  expect(cpuMs).toBeGreaterThanOrEqual(300);
  // What was used before the first byte does not count.
  expect(cpuMs / millions).toBeGreaterThan(15);
  expect(cpuMs / millions).toBeLessThan(60);
});

it('tells how long a guest has not come to a million', { timeout: 30_000 }, async () => {
  const { millions, cpuMs } = await watch(counts(1e9), 3000);
  expect(millions).toBe(0);
  expect(cpuMs).toBeGreaterThan(0);
});

it('knows nothing of a guest that never begins', { timeout: 30_000 }, async () => {
  expect(await watch('for (;;);', 500)).toEqual({ millions: 0, cpuMs: 0 });
});

it.each([
  ['ends with its last words', `console.error('no such accelerator'); process.exit(3)`, /\(3\).*no such accelerator/],
  ['crashes after it has counted', `console.log('..'); process.kill(process.pid, 'SIGABRT')`, /\(SIGABRT\)/],
])('a VMM that %s is told of', { timeout: 30_000 }, async (_name, code, words) => {
  await expect(watch(code)).rejects.toThrow(expect.objectContaining({ code: 'command_failed' }) as Error);
  await expect(watch(code)).rejects.toThrow(words);
});

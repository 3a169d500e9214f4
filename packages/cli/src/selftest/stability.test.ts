import { expect, test } from 'vitest';
import { judgeSamples, type Sample } from './stability.js';

const health = (uptimeMs: number, browser = true): Sample['health'] => ({
  agentVersion: '1',
  generation: 1,
  vmId: null,
  uptimeMs,
  desktop: { display: true, vnc: true, windowManager: true, terminal: true, browser },
  ready: true,
  error: null,
});
const good = (uptimeMs: number): Sample => ({
  state: 'running',
  health: health(uptimeMs),
  tunnel: null,
  problem: null,
});

test.each<[string, Sample[], boolean, boolean, RegExp]>([
  ['all well', [good(1), good(2)], true, true, /none in 2 samples/],
  ['nothing measured', [], false, false, /none in 0/],
  ['restarted', [good(9), good(2)], true, false, /VM restarted \(1x\)/],
  ['browser died', [{ ...good(1), health: health(1, false) }], true, false, /browser down/],
  ['tunnel', [{ ...good(1), tunnel: 'closed with 1006' }], true, false, /tunnel closed with 1006/],
  ['gone', [good(1), { ...good(2), state: 'failed', health: null }], false, false, /VM failed/],
])('%s', (_name, samples, alive, undisturbed, figure) => {
  const verdict = judgeSamples(samples, 3);
  expect([verdict.alive.pass, verdict.undisturbed.pass]).toEqual([alive, undisturbed]);
  expect(verdict.undisturbed.figure).toMatch(figure);
});

test('a shortened run says so', () => {
  expect(judgeSamples([good(1)], 3).alive.figure).toContain('shortened');
  expect(judgeSamples([good(1)], 30).alive.figure).not.toContain('shortened');
});

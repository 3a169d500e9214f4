/** The probe's judgements as tables, and one real probe of this host. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { HostProbe } from '@airlock/contract/runner';
import { judgeCount, probeHost } from './probe.js';
import { drivers } from './registry.js';
import { tscFromCpuinfo } from './tsc.js';

describe('the time stamp counter', () => {
  const cpuinfo = (flags: string): string => `processor\t: 0\ncpu MHz\t\t: 2596.136\nflags\t\t: fpu ${flags} sse\n`;
  it.each([
    ['hypervisor constant_tsc tsc_known_freq', 2596136],
    ['constant_tsc tsc_known_freq', null],
    ['hypervisor', null],
  ])('of a host with %s is %s kHz', (flags, expected) => {
    expect(tscFromCpuinfo(cpuinfo(flags))).toBe(expected);
  });
});

it.each([
  [{ cpuMs: 60, clockMs: 80, finished: true }, true, true, /counted to one million in 60 ms/],
  // Seen on a busy machine: judged by the clock, it would have been called unusable.
  [{ cpuMs: 90, clockMs: 3700, finished: true }, true, true, /90 ms of processor time \(3700 ms on the clock\)/],
  [{ cpuMs: 1030, clockMs: 1080, finished: true }, false, true, /needed 1030 ms/],
  [{ cpuMs: 2000, clockMs: 10_000, finished: false }, false, true, /needed more than 2000 ms/],
  [{ cpuMs: 200, clockMs: 10_000, finished: false }, false, false, /too busy to tell/],
])('a count of %j: usable %s, certain %s', (count, usable, certain, reason) => {
  const verdict = judgeCount(count);
  expect(verdict).toMatchObject({ present: true, usable, certain, probeMs: count.cpuMs });
  expect(verdict.reason).toMatch(reason);
});

it('keeps a count that is certain, and no other', { timeout: 60_000 }, async ({ skip }) => {
  const folder = await mkdtemp(join(tmpdir(), 'airlock-probe-test-'));
  try {
    const cache = join(folder, 'probe.json');
    const first = await probeHost(cache);
    if (first.kvm.probeMs === null) skip(`No count is made here: ${first.kvm.reason}`);
    const keep = async (certain: boolean): Promise<string> => {
      const kvm = { ...first.kvm, certain, reason: 'What was kept.' };
      await writeFile(cache, JSON.stringify({ ...first, kvm }));
      return (await probeHost(cache)).kvm.reason;
    };
    expect(await keep(true)).toBe('What was kept.');
    expect(await keep(false)).toMatch(/processor time/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

it('measures again what could not be measured before', { timeout: 60_000 }, async ({ skip }) => {
  const folder = await mkdtemp(join(tmpdir(), 'airlock-probe-test-'));
  const spies = drivers.map(({ host }) => vi.spyOn(host, 'measureTscKhz').mockResolvedValue(null));
  try {
    const cache = join(folder, 'probe.json');
    const first = await probeHost(cache);
    if (first.drivers.every(({ version }) => version === null)) skip('There is no VMM to measure with.');
    await writeFile(cache, JSON.stringify({ ...first, tscKhz: null }));
    for (const spy of spies) spy.mockResolvedValue(2_000_000);
    expect((await probeHost(cache)).tscKhz).not.toBeNull();
  } finally {
    for (const spy of spies) spy.mockRestore();
    await rm(folder, { recursive: true });
  }
});

it('probes this host, and keeps the slow part', { timeout: 60_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'airlock-probe-test-'));
  try {
    const cache = join(folder, 'probe.json');
    const first = HostProbe.parse(await probeHost(cache));
    expect(first.drivers.map(({ name }) => name)).toEqual(drivers.map(({ name }) => name));
    for (const { reason } of first.drivers) expect(reason).toMatch(/\.$/);
    expect(first.kvm.reason).toMatch(/\.$/);
    const kept = { ...HostProbe.parse(JSON.parse(await readFile(cache, 'utf8'))), tscKhz: 1 };
    await writeFile(cache, JSON.stringify(kept));
    expect(await probeHost(cache)).toEqual(kept);
    await writeFile(cache, JSON.stringify({ ...kept, bootId: 'another' }));
    expect((await probeHost(cache)).tscKhz).not.toBe(1);
  } finally {
    await rm(folder, { recursive: true });
  }
});

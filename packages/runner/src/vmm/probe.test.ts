/** The probe's judgements as tables, and one real probe of this host. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CountMs } from '@airlock/contract/count-ms';
import { AppError } from '@airlock/contract/errors';
import { HostProbe } from '@airlock/contract/runner';
import type { Count } from './driver.js';
import { judgeCounts, probeHost } from './probe.js';
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

describe('the accelerator', () => {
  const count = (millions: number, cpuMs: number): Count => ({ millions, cpuMs });
  const emulated = count(97, 300);
  const none = new AppError('host_unsupported', 'The driver does not emulate.');
  const noGuest = new AppError('command_failed', 'qemu ended', { details: { lastOutput: 'kvm: first\nkvm: refused' } });

  it.each<[string, Count | AppError, Count | AppError, boolean, boolean, CountMs]>([
    ['a fast KVM', count(860, 300), emulated, true, true, { kvm: 35, tcg: 309 }],
    // Both at once on a host in emulation: one limit for all hosts had taken this KVM, and at the next start refused it.
    ['a slow KVM, and emulation in emulation', count(73, 300), count(1, 410), true, true, { kvm: 411, tcg: 41_000 }],
    ['the same on a busier host', count(34, 310), count(0, 380), true, true, { kvm: 912, tcg: 38_000 }],
    ['two that are as fast', emulated, emulated, true, true, { kvm: 309, tcg: 309 }],
    ['a busy host whose two figures both grow', count(215, 300), count(24, 300), true, true, { kvm: 140, tcg: 1250 }],
    ['a paravirtual KVM', count(1, 830), emulated, false, true, { kvm: 83_000, tcg: 309 }],
    ['a KVM that never gets to a million', count(0, 9000), emulated, false, true, { kvm: 900_000, tcg: 309 }],
    ['a KVM that got no time', count(0, 20), emulated, false, false, { kvm: null, tcg: 309 }],
    [
      'a KVM that got too little time to be slower',
      count(0, 200),
      count(1, 400),
      false,
      false,
      { kvm: 20_000, tcg: 40_000 },
    ],
    ['emulation that got no time', emulated, count(1, 10), true, false, { kvm: 309, tcg: null }],
    ['neither', count(0, 300), count(0, 300), false, false, { kvm: 30_000, tcg: 30_000 }],
    ['no emulation', emulated, none, true, true, { kvm: 309, tcg: null }],
    ['a KVM that runs no guest', noGuest, emulated, false, false, { kvm: null, tcg: 309 }],
  ])('with %s', (_name, kvm, tcg, usable, certain, countMs) => {
    const verdict = judgeCounts(kvm, tcg);
    expect(verdict).toMatchObject({ kvm: { present: true, usable, certain }, countMs });
    expect(verdict.kvm.reason.includes('measured again')).toBe(!certain && kvm !== noGuest);
  });

  it('is told with both figures, or with what KVM refused', () => {
    expect(judgeCounts(count(860, 300), emulated).kvm.reason).toMatch(
      / in 35 ms .* KVM, and in 309 ms .* emulation\.$/,
    );
    expect(judgeCounts(count(0, 9000), emulated).kvm.reason).toMatch(/ in more than 900000 ms /);
    expect(judgeCounts(noGuest, emulated).kvm.reason).toMatch(/does not run: kvm: refused$/);
  });
});

describe('a verdict that was kept', () => {
  let folder: string;
  let cache: string;
  let first: HostProbe;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'airlock-probe-test-'));
    cache = join(folder, 'probe.json');
    first = await probeHost(cache);
  });
  afterEach(() => rm(folder, { recursive: true }));
  const reasonAfter = async (kept: unknown): Promise<string> => {
    await writeFile(cache, JSON.stringify(kept));
    return (await probeHost(cache)).kvm.reason;
  };

  it('holds when it is certain, and only then', { timeout: 60_000 }, async ({ skip }) => {
    if (first.countMs.kvm === null) skip(`No guest counts under KVM here: ${first.kvm.reason}`);
    const keptAs = (certain: boolean): unknown => ({
      ...first,
      kvm: { ...first.kvm, certain, reason: 'What was kept.' },
    });
    expect(await reasonAfter(keptAs(true))).toBe('What was kept.');
    expect(await reasonAfter(keptAs(false))).toMatch(/processor time/);
  });

  it('by an older version is made anew', { timeout: 60_000 }, async () => {
    const { countMs: _, ...older } = first;
    const kvm = { present: true, usable: true, probeMs: 60, certain: true, reason: 'What was kept.' };
    expect(await reasonAfter({ ...older, kvm })).not.toBe('What was kept.');
  });
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

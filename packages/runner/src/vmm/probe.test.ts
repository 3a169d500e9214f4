/** The probe's judgements as tables, and one real probe of this host. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { HostProbe } from '@airlock/contract/runner';
import { countingImage, tscImage } from './probe-image.js';
import { judgeCount, judgeQemu, probeHost } from './probe.js';
import { tscFromCpuinfo, tscFromSamples } from './tsc.js';

it.each([
  ['10.0.2', true, false, true],
  ['9.2.0', true, false, true],
  ['8.2.1', true, false, true],
  ['7.2.11', true, false, false],
  ['7.2.11', true, true, true],
  ['5.2.0', true, true, false],
  ['10.0.2', false, true, false],
  [null, true, true, false],
])('QEMU %s (qboot: %s, KVM usable: %s) is good: %s', (version, firmware, kvm, ok) => {
  expect(judgeQemu({ path: '/usr/bin/qemu', version, firmware }, kvm).ok).toBe(ok);
});

describe('the time stamp counter', () => {
  const cpuinfo = (flags: string): string => `processor\t: 0\ncpu MHz\t\t: 2596.136\nflags\t\t: fpu ${flags} sse\n`;
  it.each([
    ['hypervisor constant_tsc tsc_known_freq', 2596136],
    ['constant_tsc tsc_known_freq', null],
    ['hypervisor', null],
  ])('of a host with %s is %s kHz', (flags, expected) => {
    expect(tscFromCpuinfo(cpuinfo(flags))).toBe(expected);
  });

  const sample = (ms: number, ...ticks: number[]): { ms: number; chunk: Buffer } => {
    const chunk = Buffer.alloc(ticks.length * 4);
    ticks.forEach((value, index) => chunk.writeUInt32LE(value % 2 ** 32, index * 4));
    return { ms, chunk };
  };

  it('is measured across wraps, late chunks and chunks cut in two', () => {
    const khz = 3_000_000;
    const samples = Array.from({ length: 60 }, (_value, index) => {
      const ms = index * 10;
      return sample(ms + (index % 7 === 0 ? 4 : 0), (ms - 5) * khz + 1e9, ms * khz + 1e9);
    });
    const cut = samples.flatMap(({ ms, chunk }) => [
      { ms, chunk: chunk.subarray(0, 5) },
      { ms, chunk: chunk.subarray(5) },
    ]);
    expect(tscFromSamples(samples)).toBe(khz);
    expect(Math.abs((tscFromSamples(cut) ?? 0) / khz - 1)).toBeLessThan(0.01);
  });

  it('is unknown without samples', () => {
    expect(tscFromSamples([])).toBeNull();
    expect(tscFromSamples([sample(0, 1, 2)])).toBeNull();
  });
});

it.each([
  ['counting', countingImage()],
  ['tsc', tscImage()],
])('the %s image begins where the processor starts', (_name, image) => {
  expect(image).toHaveLength(65536);
  const jump = image.length - 16;
  expect(image[jump]).toBe(0xe9);
  expect((jump + 3 + image.readUInt16LE(jump + 1)) % 65536).toBe(0);
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

it('probes this host, and keeps the slow part', { timeout: 60_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'airlock-probe-test-'));
  try {
    const cache = join(folder, 'probe.json');
    const first = HostProbe.parse(await probeHost(cache));
    expect(first.qemu.reason).toMatch(/\.$/);
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

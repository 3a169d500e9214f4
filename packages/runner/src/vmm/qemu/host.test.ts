/** QEMU's part of the host probe: its judgements as tables. */
import { describe, expect, it } from 'vitest';
import { judgeQemu } from './host.js';
import { countingImage, tscImage } from './probe-image.js';
import { tscFromSamples } from './tsc.js';

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
  expect(judgeQemu({ path: '/usr/bin/qemu', version, complete: firmware }, kvm).ok).toBe(ok);
});

describe('the measured time stamp counter', () => {
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

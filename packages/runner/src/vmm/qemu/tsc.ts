/** The rate of the time stamp counter that guests under emulation see, measured with a guest of QEMU's. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { qemuProgram } from './arguments.js';
import { consolePort, tscImage } from './probe-image.js';

const measureMs = 600;

/** Lets a guest write its counter for a while and compares it with this process's clock: right to a few tenths of a percent. */
export async function measureTscKhz(): Promise<number | null> {
  const folder = await mkdtemp(join(tmpdir(), 'airlock-probe-'));
  try {
    const bios = join(folder, 'tsc.bin');
    await writeFile(bios, tscImage());
    const machine = ['-nodefaults', '-no-user-config', '-display', 'none', '-M', 'isapc', '-m', '16', '-accel', 'tcg'];
    const output = ['-chardev', 'stdio,id=out,signal=off', '-device', `isa-debugcon,iobase=${consolePort},chardev=out`];
    const child = spawn(qemuProgram, [...machine, '-bios', bios, ...output], { stdio: ['pipe', 'pipe', 'ignore'] });
    const samples: { ms: number; chunk: Buffer }[] = [];
    return await new Promise<number | null>((resolve, reject) => {
      const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
      child.stdout.on('data', (chunk: Buffer) => {
        samples.push({ ms: performance.now(), chunk });
        if (performance.now() - (samples[0]?.ms ?? 0) > measureMs) child.kill('SIGKILL');
      });
      child.once('error', reject);
      child.once('close', () => {
        clearTimeout(timer);
        resolve(tscFromSamples(samples));
      });
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * kHz from what came when: each 4 bytes are the low half of a counter, which may wrap between two of them. A chunk comes
 * soon after its last counter was read, or late when the host is busy: the median over many pairs leaves the late ones out.
 */
export function tscFromSamples(samples: readonly { ms: number; chunk: Buffer }[]): number | null {
  const points: { ms: number; ticks: number }[] = [];
  let bytes = Buffer.alloc(0);
  let previous: number | undefined;
  let ticks = 0;
  for (const { ms, chunk } of samples) {
    bytes = Buffer.concat([bytes, chunk]);
    for (; bytes.length >= 4; bytes = bytes.subarray(4)) {
      const value = bytes.readUInt32LE(0);
      ticks += previous === undefined ? 0 : (value - previous) >>> 0;
      previous = value;
    }
    points.push({ ms, ticks });
  }
  const half = Math.floor(points.length / 2);
  const rates = points.slice(half).flatMap((late, index) => {
    const early = points[index];
    return early && late.ms - early.ms > 100 ? [(late.ticks - early.ticks) / (late.ms - early.ms)] : [];
  });
  const median = rates.sort((a, b) => a - b)[Math.floor(rates.length / 2)];
  return median === undefined ? null : Math.round(median);
}

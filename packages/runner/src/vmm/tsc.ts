/** The rate of the host's time stamp counter, which guests under emulation see too and need to be told. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { consolePort, tscImage } from './probe-image.js';
import { qemuProgram } from './qemu.js';

/** kHz, or null when it cannot be found. Measured with QEMU when the kernel does not tell it for certain. */
export async function findTscKhz(haveQemu: boolean): Promise<number | null> {
  const told = tscFromCpuinfo(await readFile('/proc/cpuinfo', 'utf8'));
  if (told !== null) return told;
  return haveQemu ? await measureTscKhz() : null;
}

/**
 * The rate that a hypervisor told the kernel: in such a VM the "cpu MHz" of /proc/cpuinfo is that of the counter. On bare
 * metal it is the processor's present clock, which says nothing about the counter.
 */
export function tscFromCpuinfo(text: string): number | null {
  const flags = (/^flags\s*:\s*(.*)$/m.exec(text)?.[1] ?? '').split(' ');
  const mhz = /^cpu MHz\s*:\s*([\d.]+)$/m.exec(text)?.[1];
  const certain = ['hypervisor', 'constant_tsc', 'tsc_known_freq'].every((flag) => flags.includes(flag));
  return certain && mhz !== undefined ? Math.round(Number(mhz) * 1000) : null;
}

const measureMs = 600;

/** Lets a guest write its counter for a while and compares it with this process's clock: right to some tenths of a percent. */
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

/** kHz from what came when: each 4 bytes are the low half of a counter, which may wrap between two of them. */
export function tscFromSamples(samples: readonly { ms: number; chunk: Buffer }[]): number | null {
  const bytes = Buffer.concat(samples.map(({ chunk }) => chunk));
  const arrival = samples.flatMap(({ ms, chunk }) => Array.from(chunk, () => ms));
  const count = Math.floor(bytes.length / 4);
  if (count < 2) return null;
  let ticks = 0;
  for (let index = 1; index < count; index += 1) {
    ticks += (bytes.readUInt32LE(index * 4) - bytes.readUInt32LE((index - 1) * 4)) >>> 0;
  }
  const elapsedMs = (arrival[count * 4 - 1] ?? 0) - (arrival[3] ?? 0);
  return elapsedMs > 100 ? Math.round(ticks / elapsedMs) : null;
}

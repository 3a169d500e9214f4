/** QEMU's part of the host probe: which one is here, whether it is good, and what a guest of it can do. */
import { constants } from 'node:fs';
import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '@airlock/contract/process';
import type { Count, FoundVmm, VmmHost } from '../driver.js';
import { qemuProgram } from './arguments.js';
import { countedExitCode, countingImage, exitPort } from './probe-image.js';
import { measureTscKhz } from './tsc.js';

const probeTimeoutMs = 10_000;

export const qemuHost: VmmHost = { look: findQemu, judge: judgeQemu, countUnderKvm, measureTscKhz };

/** Complete with its firmware qboot. */
async function findQemu(): Promise<FoundVmm> {
  const path = await firstReadable((process.env['PATH'] ?? '').split(':').map((folder) => join(folder, qemuProgram)));
  if (path === null) return { path: null, version: null, complete: false };
  const [version, folders] = await Promise.all([
    run(path, ['--version'], { timeoutMs: 10_000 }),
    run(path, ['-L', 'help'], { timeoutMs: 10_000 }),
  ]);
  const firmware = await firstReadable(
    folders.stdout
      .trim()
      .split('\n')
      .map((folder) => join(folder, 'qboot.rom')),
  );
  return {
    path,
    version: /version (\d+\.\d+(?:\.\d+)?)/.exec(version.stdout)?.[1] ?? null,
    complete: firmware !== null,
  };
}

async function firstReadable(paths: string[]): Promise<string | null> {
  for (const path of paths) {
    const readable = await access(path, constants.R_OK).then(
      () => true,
      () => false,
    );
    if (readable) return path;
  }
  return null;
}

/** The verdict on a QEMU: old ones crash guests under emulation, and without qboot a microvm finds no disk. */
export function judgeQemu({ path, version, complete }: FoundVmm, kvmUsable: boolean): { ok: boolean; reason: string } {
  const verdict = (ok: boolean, reason: string): { ok: boolean; reason: string } => ({ ok, reason });
  if (path === null) return verdict(false, `${qemuProgram} is not on PATH.`);
  if (version === null) return verdict(false, `${path} does not tell its version.`);
  if (!complete) return verdict(false, `QEMU ${version} is there, but its firmware qboot.rom is not.`);
  const major = Number.parseInt(version, 10);
  if (major >= 10) return verdict(true, `QEMU ${version} with qboot.rom.`);
  if (major >= 8) return verdict(true, `QEMU ${version} works; version 10 is what Airlock is tested with.`);
  if (kvmUsable && major >= 6) return verdict(true, `QEMU ${version} is old; it is good enough with KVM only.`);
  return verdict(false, `QEMU ${version} crashes guests under software emulation; version 8 or newer is needed.`);
}

/** @throws AppError command_failed when QEMU ends otherwise than by the guest's own word. */
async function countUnderKvm(): Promise<Count> {
  const folder = await mkdtemp(join(tmpdir(), 'airlock-probe-'));
  try {
    const bios = join(folder, 'count.bin');
    await writeFile(bios, countingImage());
    const bare = ['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-M', 'isapc', '-m', '16'];
    const machine = [...bare, '-accel', 'kvm', '-bios', bios, '-device', `isa-debug-exit,iobase=${exitPort},iosize=1`];
    const cpuBefore = await childrenCpuMs();
    const begin = performance.now();
    // `timeout` and not run's own limit: how much was counted until then is of interest.
    const limit = ['--foreground', '--kill-after=2', String(probeTimeoutMs / 1000)];
    const okCodes = [countedExitCode, 124, 137];
    const { exitCode } = await run('timeout', [...limit, qemuProgram, ...machine], { okCodes });
    const clockMs = Math.round(performance.now() - begin);
    return { cpuMs: (await childrenCpuMs()) - cpuBefore, clockMs, finished: exitCode === countedExitCode };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Processor time of all children that have ended, milliseconds, in steps of 10: Linux counts 100 ticks a second here. */
async function childrenCpuMs(): Promise<number> {
  const stat = await readFile('/proc/self/stat', 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) * 10;
}

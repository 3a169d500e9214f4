/** QEMU's part of the host probe: which one is here, whether it is good, and what a guest of it can do. */
import { constants } from 'node:fs';
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Accel } from '@airlock/contract/capacity';
import { run } from '@airlock/contract/process';
import { watchCount } from '../count.js';
import type { Count, FoundVmm, VmmHost } from '../driver.js';
import { qemuProgram } from './arguments.js';
import { consolePort, countingImage } from './probe-image.js';
import { measureTscKhz } from './tsc.js';

export const qemuHost: VmmHost = { look: findQemu, judge: judgeQemu, count, measureTscKhz };

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

async function count(accel: Accel): Promise<Count> {
  const folder = await mkdtemp(join(tmpdir(), 'airlock-probe-'));
  try {
    const bios = join(folder, 'count.bin');
    await writeFile(bios, countingImage());
    const bare = ['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-M', 'isapc', '-m', '16'];
    const output = ['-chardev', 'stdio,id=out,signal=off', '-device', `isa-debugcon,iobase=${consolePort},chardev=out`];
    return await watchCount(qemuProgram, [...bare, '-accel', accel, '-bios', bios, ...output]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

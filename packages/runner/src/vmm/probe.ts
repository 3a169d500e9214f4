/**
 * What this host can run, measured and not assumed: a paravirtual /dev/kvm may be there and still be three hundred times
 * too slow. What was measured for certain holds until the next boot and is cached; the rest is looked at each time.
 */
import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { run } from '@airlock/contract/process';
import { HostProbe } from '@airlock/contract/runner';
import { countedExitCode, countingImage, exitPort } from './probe-image.js';
import { qemuProgram } from './qemu.js';
import { findTscKhz } from './tsc.js';

type Kvm = HostProbe['kvm'];
type Qemu = HostProbe['qemu'];

/**
 * Of processor time: a usable KVM counts in under 150 ms, an unusable one needs about 1 s. The time on the clock says nothing
 * on a busy machine, where it was seen four times as long.
 */
const usableMs = 450;
const probeTimeoutMs = 10_000;

/** Probes the host; reads and writes the cache file when one is given. */
export async function probeHost(cacheFile: string | null): Promise<HostProbe> {
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const found = await findQemu();
  const read = cacheFile === null ? null : await readCache(cacheFile, bootId);
  const cached = read?.qemu.version === found.version ? read : null;
  // The device and the right to open it may come and go; only a count is kept.
  const kvm = (await kvmUnopenable(found.version !== null)) ?? keptCount(cached) ?? (await tryKvm());
  const tscKhz = cached ? cached.tscKhz : await findTscKhz(found.version !== null);
  const probe: HostProbe = { bootId, kvm, qemu: judgeQemu(found, kvm.usable), tscKhz };
  if (cacheFile !== null) await writeCache(cacheFile, probe);
  return probe;
}

async function readCache(file: string, bootId: string): Promise<HostProbe | null> {
  try {
    const parsed = HostProbe.safeParse(JSON.parse(await readFile(file, 'utf8')));
    return parsed.success && parsed.data.bootId === bootId ? parsed.data : null;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

async function writeCache(file: string, probe: HostProbe): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(`${file}.${process.pid}`, `${JSON.stringify(probe)}\n`, { mode: 0o600 });
  await rename(`${file}.${process.pid}`, file);
}

interface FoundQemu {
  path: string | null;
  version: string | null;
  firmware: boolean;
}

async function findQemu(): Promise<FoundQemu> {
  const path = await firstReadable((process.env['PATH'] ?? '').split(':').map((folder) => join(folder, qemuProgram)));
  if (path === null) return { path: null, version: null, firmware: false };
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
    firmware: firmware !== null,
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
export function judgeQemu({ path, version, firmware }: FoundQemu, kvmUsable: boolean): Qemu {
  const verdict = (ok: boolean, reason: string): Qemu => ({ path, version, ok, reason });
  if (path === null) return verdict(false, `${qemuProgram} is not on PATH.`);
  if (version === null) return verdict(false, `${path} does not tell its version.`);
  if (!firmware) return verdict(false, `QEMU ${version} is there, but its firmware qboot.rom is not.`);
  const major = Number.parseInt(version, 10);
  if (major >= 10) return verdict(true, `QEMU ${version} with qboot.rom.`);
  if (major >= 8) return verdict(true, `QEMU ${version} works; version 10 is what Airlock is tested with.`);
  if (kvmUsable && major >= 6) return verdict(true, `QEMU ${version} is old; it is good enough with KVM only.`);
  return verdict(false, `QEMU ${version} crashes guests under software emulation; version 8 or newer is needed.`);
}

function keptCount(cached: HostProbe | null): Kvm | null {
  return cached && cached.kvm.certain && cached.kvm.probeMs !== null ? cached.kvm : null;
}

/** The verdict when /dev/kvm cannot even be tried, else null. */
async function kvmUnopenable(haveQemu: boolean): Promise<Kvm | null> {
  const problem = await access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => null,
    (error: NodeJS.ErrnoException) => error.code ?? 'unknown',
  );
  const verdict = (reason: string): Kvm => ({
    present: problem !== 'ENOENT',
    usable: false,
    probeMs: null,
    certain: true,
    reason,
  });
  if (problem === 'ENOENT') return verdict('There is no /dev/kvm.');
  if (problem !== null) {
    return verdict(
      `/dev/kvm may not be opened by this user (${problem}); Debian lets the members of the group kvm do it.`,
    );
  }
  return haveQemu ? null : verdict('/dev/kvm is there; without QEMU it cannot be tried.');
}

async function tryKvm(): Promise<Kvm> {
  try {
    return judgeCount(await countUnderKvm());
  } catch (error) {
    const { message, details } = AppError.from(error);
    const last = typeof details?.['lastOutput'] === 'string' ? details['lastOutput'].split('\n').at(-1) : '';
    const reason = `/dev/kvm is there, but a guest does not run: ${last === '' ? message : last}`;
    return { present: true, usable: false, probeMs: null, certain: false, reason };
  }
}

export interface Count {
  /** Milliseconds of processor time, and on the clock. */
  cpuMs: number;
  clockMs: number;
  /** False when the guest was stopped before it had counted to the end. */
  finished: boolean;
}

/** The verdict on a count. One that was stopped while it waited for a processor decides nothing. */
export function judgeCount({ cpuMs, clockMs, finished }: Count): Kvm {
  const usable = finished && cpuMs < usableMs;
  const certain = finished || cpuMs >= usableMs;
  const time = `${cpuMs} ms of processor time (${clockMs} ms on the clock)`;
  const reason = usable
    ? `A KVM guest counted to one million in ${time}.`
    : certain
      ? `A KVM guest needed ${finished ? '' : 'more than '}${time} to count to one million; of use would be ${usableMs} ms.`
      : `A KVM guest got only ${time}: this machine is too busy to tell, it is measured again at the next look.`;
  return { present: true, usable, probeMs: cpuMs, certain, reason };
}

/** @throws AppError command_failed when QEMU ends otherwise than by the guest's own word. */
async function countUnderKvm(): Promise<Count> {
  const folder = await mkdtemp(join(tmpdir(), 'airlock-probe-'));
  try {
    const bios = join(folder, 'count.bin');
    await writeFile(bios, countingImage());
    const machine = [...tinyMachine('kvm', bios), '-device', `isa-debug-exit,iobase=${exitPort},iosize=1`];
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

/** Arguments of a machine that has nothing but a processor, an ISA bus and `bios`. */
export function tinyMachine(accel: 'kvm' | 'tcg', bios: string): string[] {
  const bare = ['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-M', 'isapc', '-m', '16'];
  return [...bare, '-accel', accel, '-bios', bios];
}

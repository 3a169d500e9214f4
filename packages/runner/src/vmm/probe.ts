/**
 * What this host can run, measured and not assumed: a paravirtual /dev/kvm may be there and still be three hundred times
 * too slow. The measured part holds until the next boot and is cached; QEMU's version is looked at each time.
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

/** A usable KVM counts in under 150 ms, an unusable one needs over 1 s; between them lies what a busy host adds. */
const usableMs = 450;
const probeTimeoutMs = 5000;

/** Probes the host; reads and writes the cache file when one is given. */
export async function probeHost(cacheFile: string | null): Promise<HostProbe> {
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const found = await findQemu();
  const cached = cacheFile === null ? null : await readCache(cacheFile, bootId);
  if (cached && cached.qemu.version === found.version) {
    return { ...cached, qemu: judgeQemu(found, cached.kvm.usable) };
  }
  const kvm = await probeKvm(found.version !== null);
  const tscKhz = await findTscKhz(found.version !== null);
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

async function probeKvm(haveQemu: boolean): Promise<Kvm> {
  const problem = await access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => null,
    (error: NodeJS.ErrnoException) => error.code ?? 'unknown',
  );
  const verdict = (usable: boolean, probeMs: number | null, reason: string): Kvm => ({
    present: problem !== 'ENOENT',
    usable,
    probeMs,
    reason,
  });
  if (problem === 'ENOENT') return verdict(false, null, 'There is no /dev/kvm.');
  if (problem !== null) return verdict(false, null, `/dev/kvm may not be opened by this user (${problem}).`);
  if (!haveQemu) return verdict(false, null, '/dev/kvm is there; without QEMU it cannot be tried.');
  try {
    // A second try, when the first was slow, keeps a busy moment of the host from deciding for the whole boot.
    let ms = await countUnderKvm();
    if (ms >= usableMs) ms = Math.min(ms, await countUnderKvm());
    const text = `A KVM guest counted to one million in ${ms} ms`;
    return ms < usableMs
      ? verdict(true, ms, `${text}.`)
      : verdict(false, ms, `${text}; ${usableMs} ms is the most for it to be of use.`);
  } catch (error) {
    const { message, details } = AppError.from(error);
    const last = typeof details?.['lastOutput'] === 'string' ? details['lastOutput'].split('\n').at(-1) : '';
    return verdict(false, null, `/dev/kvm is there, but a guest does not run: ${last === '' ? message : last}`);
  }
}

/** Milliseconds from starting QEMU until its guest has counted. @throws AppError command_failed */
async function countUnderKvm(): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'airlock-probe-'));
  try {
    const bios = join(folder, 'count.bin');
    await writeFile(bios, countingImage());
    const begin = performance.now();
    await run(qemuProgram, [...tinyMachine('kvm', bios), '-device', `isa-debug-exit,iobase=${exitPort},iosize=1`], {
      timeoutMs: probeTimeoutMs,
      okCodes: [countedExitCode],
    });
    return Math.round(performance.now() - begin);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Arguments of a machine that has nothing but a processor, an ISA bus and `bios`. */
export function tinyMachine(accel: 'kvm' | 'tcg', bios: string): string[] {
  const bare = ['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-M', 'isapc', '-m', '16'];
  return [...bare, '-accel', accel, '-bios', bios];
}

/**
 * What this host can run, measured and not assumed: a paravirtual /dev/kvm may be there and still be three hundred times
 * too slow. What was measured for certain holds until the next boot and is cached; the rest is looked at each time.
 */
import { constants } from 'node:fs';
import { access, mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { replaceFile } from '@airlock/contract/file';
import { HostProbe } from '@airlock/contract/runner';
import type { Count, FoundVmm, VmmDriver } from './driver.js';
import { drivers } from './registry.js';
import { tscFromCpuinfo } from './tsc.js';

type Kvm = HostProbe['kvm'];
interface Found {
  driver: VmmDriver;
  vmm: FoundVmm;
}

/**
 * Of processor time: a usable KVM counts in under 150 ms, an unusable one needs about 1 s. The time on the clock says nothing
 * on a busy host, where it was seen four times as long.
 */
const usableMs = 450;

/** Probes the host; reads and writes the cache file when one is given. */
export async function probeHost(cacheFile: string | null): Promise<HostProbe> {
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const found = await Promise.all(drivers.map(async (driver) => ({ driver, vmm: await driver.host.look() })));
  const read = cacheFile === null ? null : await readCache(cacheFile, bootId);
  const cached = read !== null && sameVersions(read, found) ? read : null;
  const measurer = found.find(({ vmm }) => vmm.version !== null)?.driver ?? null;
  // The device and the right to open it may come and go; only a count is kept.
  const kvm = (await kvmUnopenable(measurer)) ?? keptCount(cached) ?? (await tryKvm(measurer));
  const tscKhz = cached?.tscKhz ?? (await findTscKhz(measurer));
  const probe: HostProbe = { bootId, kvm, drivers: found.map((each) => describe(each, kvm.usable)), tscKhz };
  if (cacheFile !== null) await writeCache(cacheFile, probe);
  return probe;
}

function describe({ driver, vmm }: Found, kvmUsable: boolean): HostProbe['drivers'][0] {
  const { path, version } = vmm;
  const verdict = driver.host.judge(vmm, kvmUsable);
  return { name: driver.name, path, version, emulation: driver.capabilities.emulation, ...verdict };
}

function sameVersions({ drivers: before }: HostProbe, found: readonly Found[]): boolean {
  const text = (list: readonly { name: string; version: string | null }[]): string =>
    list.map(({ name, version }) => `${name} ${version}`).join();
  return text(before) === text(found.map(({ driver, vmm }) => ({ name: driver.name, version: vmm.version })));
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
  await replaceFile(file, `${JSON.stringify(probe)}\n`, { durable: false });
}

function keptCount(cached: HostProbe | null): Kvm | null {
  return cached && cached.kvm.certain && cached.kvm.probeMs !== null ? cached.kvm : null;
}

/** The verdict when /dev/kvm cannot even be tried, else null. */
async function kvmUnopenable(measurer: VmmDriver | null): Promise<Kvm | null> {
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
  return measurer ? null : verdict('/dev/kvm is there; without a VMM it cannot be tried.');
}

async function tryKvm(measurer: VmmDriver | null): Promise<Kvm> {
  try {
    if (!measurer) throw new AppError('vmm_missing', 'There is no VMM to try it with.');
    return judgeCount(await measurer.host.countUnderKvm());
  } catch (error) {
    const { message, details } = AppError.inItsWords(error);
    const last = typeof details?.['lastOutput'] === 'string' ? details['lastOutput'].split('\n').at(-1) : '';
    const reason = `/dev/kvm is there, but a guest does not run: ${last === '' ? message : last}`;
    return { present: true, usable: false, probeMs: null, certain: false, reason };
  }
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
      : `A KVM guest got only ${time}: this host is too busy to tell, it is measured again at the next look.`;
  return { present: true, usable, probeMs: cpuMs, certain, reason };
}

/** The rate of the time stamp counter in kHz, which guests under emulation need to be told; null when it cannot be found. */
async function findTscKhz(measurer: VmmDriver | null): Promise<number | null> {
  const told = tscFromCpuinfo(await readFile('/proc/cpuinfo', 'utf8'));
  return told ?? (await measurer?.host.measureTscKhz()) ?? null;
}

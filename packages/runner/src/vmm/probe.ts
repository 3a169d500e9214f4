/**
 * What this host can run, measured and not assumed: a paravirtual /dev/kvm may be there and still be three hundred times
 * slower than emulation. What was measured for certain holds until the next boot and is cached; the rest is looked at each time.
 */
import { constants } from 'node:fs';
import { access, mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Accel } from '@airlock/contract/capacity';
import { AppError } from '@airlock/contract/errors';
import { replaceFile } from '@airlock/contract/file';
import { HostProbe } from '@airlock/contract/runner';
import type { Count, FoundVmm, VmmDriver } from './driver.js';
import { drivers } from './registry.js';
import { tscFromCpuinfo } from './tsc.js';

type Kvm = HostProbe['kvm'];
type Verdict = Pick<HostProbe, 'kvm' | 'countMs'>;
interface Found {
  driver: VmmDriver;
  vmm: FoundVmm;
}

/** What was counted says nothing with less processor time than this, in ms: Linux tells it in steps of 10. */
const leastCpuMs = 100;

/** Probes the host; reads and writes the cache file when one is given. */
export async function probeHost(cacheFile: string | null): Promise<HostProbe> {
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const found = await Promise.all(drivers.map(async (driver) => ({ driver, vmm: await driver.host.look() })));
  const read = cacheFile === null ? null : await readCache(cacheFile, bootId);
  const cached = read !== null && sameVersions(read, found) ? read : null;
  const measurer = measurerOf(found);
  const { kvm, countMs } = await verdictOf(measurer, cached);
  const tscKhz = cached?.tscKhz ?? (await findTscKhz(measurer));
  const probe = { bootId, kvm, countMs, drivers: found.map((each) => describe(each, kvm.usable)), tscKhz };
  if (cacheFile !== null) await writeCache(cacheFile, probe);
  return probe;
}

/** One that can count under both accelerators, if there is one: no other compares them. */
function measurerOf(found: readonly Found[]): VmmDriver | null {
  const there = found.filter(({ vmm }) => vmm.version !== null);
  return (there.find(({ driver }) => driver.capabilities.emulation) ?? there[0])?.driver ?? null;
}

function describe({ driver, vmm }: Found, kvmUsable: boolean): HostProbe['drivers'][0] {
  const { path, version } = vmm;
  const verdict = driver.host.judge(vmm, kvmUsable);
  const { emulation, serials, networks } = driver.capabilities;
  return { name: driver.name, path, version, emulation, serials, networks: [...networks], ...verdict };
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

/** The device and the right to open it may come and go; only what was counted is kept. */
async function verdictOf(measurer: VmmDriver | null, cached: HostProbe | null): Promise<Verdict> {
  const barred = await kvmUnopenable(measurer);
  if (barred === null && cached?.kvm.certain === true && cached.countMs.kvm !== null) return cached;
  if (barred === null) {
    // At the same time: whatever else the host does slows both.
    const [kvm, tcg] = await Promise.all([tryCount(measurer, 'kvm'), tryCount(measurer, 'tcg')]);
    return judgeCounts(kvm, tcg);
  }
  return { kvm: barred, countMs: { kvm: null, tcg: cached?.countMs.tcg ?? (await emulatedMs(measurer)) } };
}

/** Null when that is not certain. */
async function emulatedMs(measurer: VmmDriver | null): Promise<number | null> {
  const figure = figureOf(await tryCount(measurer, 'tcg'));
  return figure?.reached === true ? figure.ms : null;
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

/** An error says why no guest counts. */
async function tryCount(measurer: VmmDriver | null, accel: Accel): Promise<Count | AppError> {
  try {
    if (!measurer) throw new AppError('vmm_missing', 'There is no VMM to try it with.');
    if (accel === 'tcg' && !measurer.capabilities.emulation)
      throw new AppError('host_unsupported', `The driver ${measurer.name} does not emulate.`);
    return await measurer.host.count(accel);
  } catch (error) {
    return AppError.inItsWords(error);
  }
}

/** What a count says of a hundred million: how many milliseconds it takes, or (not `reached`) that it takes more. */
interface Figure {
  ms: number;
  reached: boolean;
}

/** Null when the guest was not let count for long enough to tell. */
function figureOf(count: Count | AppError): Figure | null {
  if (count instanceof AppError || count.cpuMs < leastCpuMs) return null;
  const { millions, cpuMs } = count;
  return { ms: Math.max(1, Math.round((100 * cpuMs) / Math.max(1, millions))), reached: millions > 0 };
}

/**
 * The verdict on what guests counted under KVM and under emulation: the faster one is taken, and KVM when both are as fast. It is
 * certain when what the other one did says that it is not faster.
 */
export function judgeCounts(kvmCount: Count | AppError, tcgCount: Count | AppError): Verdict {
  const [kvm, tcg] = [figureOf(kvmCount), figureOf(tcgCount)];
  const countMs = { kvm: kvm?.ms ?? null, tcg: tcg?.ms ?? null };
  if (kvmCount instanceof AppError) {
    const reason = `/dev/kvm is there, but a guest does not run: ${lastWordsOf(kvmCount)}`;
    return { kvm: { present: true, usable: false, certain: false, reason }, countMs };
  }
  const usable = kvm?.reached === true && !(tcg?.reached === true && tcg.ms < kvm.ms);
  const [faster, other] = usable ? [kvm, tcg] : [tcg, kvm];
  const alone = tcgCount instanceof AppError;
  const certain = faster?.reached === true && (other === null ? alone : other.ms >= faster.ms);
  const took = `A guest counts to a hundred million in ${inWords(kvm)} under KVM, and in ${inWords(tcg)} under emulation.`;
  const reason = certain ? took : `${took} This host is too busy to tell: it is measured again at the next look.`;
  return { kvm: { present: true, usable, certain, reason }, countMs };
}

function inWords(figure: Figure | null): string {
  if (figure === null) return 'an unknown time';
  return `${figure.reached ? '' : 'more than '}${figure.ms} ms of processor time`;
}

function lastWordsOf({ message, details }: AppError): string {
  const last = typeof details?.['lastOutput'] === 'string' ? details['lastOutput'].split('\n').at(-1) : undefined;
  return last === undefined || last === '' ? message : last;
}

/** The rate of the time stamp counter in kHz, which guests under emulation need to be told; null when it cannot be found. */
async function findTscKhz(measurer: VmmDriver | null): Promise<number | null> {
  const told = tscFromCpuinfo(await readFile('/proc/cpuinfo', 'utf8'));
  return told ?? (await measurer?.host.measureTscKhz()) ?? null;
}

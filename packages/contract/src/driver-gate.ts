/**
 * The gate of a driver: whether this host has brought the current image up to its desktop with it. What can do without KVM is tried by
 * each build of an image; a driver that cannot is not taken before it has passed here. What was seen is kept below AIRLOCK_HOME, and
 * holds for that image, that program and this host.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { cpus, release, version as kernelBuild } from 'node:os';
import { z } from 'zod';
import { makePrivateFolder, nullIfAbsent, parseOrNull, replaceFile } from './file.js';
import { homePaths } from './home.js';
import { ImageId } from './ids.js';
import { receivedText } from './received.js';
import type { HostProbe } from './runner.js';

export const DriverGate = z.strictObject({
  imageId: ImageId,
  /** Of the VMM's program. */
  version: z.string(),
  sha256: z.string(),
  /** `hostKey`. */
  host: z.string(),
  at: z.iso.datetime(),
  passed: z.boolean(),
  /** One sentence: what was seen, or why it failed. */
  reason: receivedText(2000),
});
export type DriverGate = z.infer<typeof DriverGate>;

/** What a gate says now, in one sentence; the image whose VMs may be started with the driver, or null: none. */
export interface GateVerdict {
  imageId: string | null;
  reason: string;
}
export type GateVerdicts = Readonly<Record<string, GateVerdict>>;

type ProbedDriver = HostProbe['drivers'][0];

export const hasGate = ({ emulation }: Pick<ProbedDriver, 'emulation'>): boolean => !emulation;

/** What each driver's gate says, by the driver's name; of those that have one and whose program is here. */
export async function readGates(home: string, { drivers }: Pick<HostProbe, 'drivers'>): Promise<GateVerdicts> {
  const gates = drivers
    .filter((driver) => hasGate(driver) && driver.ok)
    .map(async (driver) => {
      const verdict = await readGate(home, driver).catch(({ message }: Error): GateVerdict => {
        return { imageId: null, reason: `The gate of ${driver.name} cannot be read: ${message}.` };
      });
      return [driver.name, verdict] as const;
    });
  return Object.fromEntries(await Promise.all(gates));
}

/** @throws the system's error */
export async function readGate(home: string, driver: ProbedDriver): Promise<GateVerdict> {
  const text = await readFile(homePaths(home).driverGate(driver.name), 'utf8').catch(nullIfAbsent);
  const kept = text === null ? null : parseOrNull(text, (one) => DriverGate.parse(JSON.parse(one)));
  return judgeGate(driver.name, kept, await gateKey(driver));
}

/** Replaces what was seen before. */
export async function writeGate(home: string, driver: string, gate: DriverGate): Promise<void> {
  const paths = homePaths(home);
  await makePrivateFolder(paths.cache);
  await replaceFile(paths.driverGate(driver), `${JSON.stringify(DriverGate.parse(gate))}\n`);
}

export type GateKey = Pick<DriverGate, 'version' | 'sha256' | 'host'>;

/** What a gate holds for, besides the image. @throws the system's error when the program cannot be read */
export async function gateKey({ path, version }: Pick<ProbedDriver, 'path' | 'version'>): Promise<GateKey> {
  const program = await readFile(path ?? '');
  return {
    version: version ?? '',
    sha256: createHash('sha256').update(program).digest('hex'),
    host: hostKey(await readFile('/proc/cpuinfo', 'utf8')),
  };
}

/** The processor with all that it can do, and the kernel: the same after each boot of one host. */
export function hostKey(cpuinfo: string): string {
  const flags = /^(?:flags|Features)\s*:(.*)$/m.exec(cpuinfo)?.[1] ?? '';
  const sum = createHash('sha256').update(flags.trim().split(/\s+/).sort().join(' ')).digest('hex').slice(0, 12);
  return `${cpus()[0]?.model ?? 'unknown'} (${sum}), Linux ${release()} ${kernelBuild()}`;
}

/** Pure. */
export function judgeGate(driver: string, kept: DriverGate | null, now: GateKey): GateVerdict {
  const again = `\`npx airlock ${driver} gate\` tries it.`;
  const not = (reason: string): GateVerdict => ({ imageId: null, reason });
  if (kept === null) return not(`The image was never booted with ${driver} on this host: ${again}`);
  const changed = [
    kept.version !== now.version && `${driver} was ${kept.version} then and is ${now.version} now`,
    kept.version === now.version && kept.sha256 !== now.sha256 && `the program of ${driver} is another one now`,
    kept.host !== now.host && `it was on ${kept.host}, and this is ${now.host}`,
  ].filter((what) => what !== false);
  if (changed.length > 0) return not(`What the gate of ${driver} saw holds no more (${changed.join('; ')}): ${again}`);
  if (!kept.passed) return not(`The gate of ${driver} failed with ${kept.imageId} on ${kept.at}: ${kept.reason}`);
  const reason = `The gate of ${driver} has booted ${kept.imageId} to its desktop on this host on ${kept.at}.`;
  return { imageId: kept.imageId, reason };
}

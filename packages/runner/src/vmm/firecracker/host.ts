/** Firecracker's part of the host probe: which one is here, and whether it is good. */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { helperPrograms } from '@airlock/contract/privileged';
import { run } from '@airlock/contract/process';
import type { FoundVmm, VmmHost } from '../driver.js';
import { driverName, isAtLeast, oldestVersion } from './setup.js';

export const firecrackerHost: VmmHost = {
  look: findFirecracker,
  judge: judgeFirecracker,
  // What another driver's guest counts under KVM counts here, too: no host is without that driver.
  count: () =>
    Promise.reject(
      new AppError('host_unsupported', `${driverName} brings no guest that counts; it needs QEMU beside it.`),
    ),
  measureTscKhz: () => Promise.resolve(null),
};

async function findFirecracker(): Promise<FoundVmm> {
  for (const folder of [helperPrograms, ...(process.env['PATH'] ?? '').split(':')]) {
    const path = join(folder, driverName);
    const mayRun = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (!mayRun) continue;
    // One that fails does not tell its version, either: that is no reason for the others not to be looked at.
    const said = await run(path, ['--version'], { timeoutMs: 10_000 }).then(
      ({ stdout }) => stdout,
      () => '',
    );
    return { path, version: /^Firecracker v(\d+\.\d+\.\d+\S*)/m.exec(said)?.[1] ?? null, complete: true };
  }
  return { path: null, version: null, complete: false };
}

/** Whether a host may take it is its gate's to say. */
export function judgeFirecracker(found: FoundVmm): { ok: boolean; reason: string } {
  const problem = whyUnfit(found);
  return { ok: problem === null, reason: problem ?? `Firecracker ${found.version} is there.` };
}

/** Null for one that runs VMs. */
export function whyUnfit({ path, version }: FoundVmm): string | null {
  if (path === null) return `${driverName} is not on PATH.`;
  if (version === null) return `${path} does not tell its version.`;
  return isAtLeast(version, oldestVersion)
    ? null
    : `Firecracker ${version} is too old: ${oldestVersion} or newer is needed.`;
}

/** Firecracker's part of the host probe: which one is here, and whether it is good. */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@airlock/contract/errors';
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
  for (const folder of (process.env['PATH'] ?? '').split(':')) {
    const path = join(folder, driverName);
    const mayRun = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (!mayRun) continue;
    const { stdout } = await run(path, ['--version'], { timeoutMs: 10_000 });
    return { path, version: /^Firecracker v(\d+\.\d+\.\d+\S*)/m.exec(stdout)?.[1] ?? null, complete: true };
  }
  return { path: null, version: null, complete: false };
}

export function judgeFirecracker({ path, version }: FoundVmm, kvmUsable: boolean): { ok: boolean; reason: string } {
  const verdict = (ok: boolean, reason: string): { ok: boolean; reason: string } => ({ ok, reason });
  if (path === null) return verdict(false, `${driverName} is not on PATH.`);
  if (version === null) return verdict(false, `${path} does not tell its version.`);
  if (!isAtLeast(version, oldestVersion)) {
    return verdict(false, `Firecracker ${version} is too old: ${oldestVersion} or newer is needed.`);
  }
  if (!kvmUsable) return verdict(false, `Firecracker ${version} is there, but needs KVM.`);
  return verdict(true, `Firecracker ${version}.`);
}

/** Absolute path of a Firecracker that will do. @throws AppError vmm_missing, vmm_unsuitable */
export async function requireProgram(): Promise<string> {
  const found = await findFirecracker();
  if (found.path === null) {
    throw new AppError('vmm_missing', `${driverName} is not on PATH.`, {
      hint: '`npx airlock doctor` says what is there.',
    });
  }
  const { ok, reason } = judgeFirecracker(found, true);
  if (ok) return found.path;
  throw new AppError('vmm_unsuitable', reason, { hint: `Put Firecracker ${oldestVersion} or newer on PATH.` });
}

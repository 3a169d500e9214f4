/** The drivers of this runner. Nothing but the list beside it sees one; all others ask here by name, and for what it can do. */
import { AppError } from '@airlock/contract/errors';
import type { VmSpec } from '@airlock/contract/runner';
import type { VmmDriver } from './driver.js';
import * as registered from './registered.js';

/** The preferred one first: what is made for hardware virtualisation alone is better at it. */
export const drivers: readonly VmmDriver[] = Object.values<VmmDriver>(registered).sort(
  (one, other) => Number(one.capabilities.emulation) - Number(other.capabilities.emulation),
);

/** @throws AppError host_unsupported when there is no such driver, or it cannot do what the specification asks for */
export function chooseDriver({ driver: name, accel }: Pick<VmSpec, 'driver' | 'accel'>): VmmDriver {
  const driver = drivers.find((candidate) => candidate.name === name);
  if (!driver) {
    const known = drivers.map((candidate) => candidate.name).join(', ');
    throw new AppError('host_unsupported', `This runner has no driver "${name}"; it has: ${known}.`);
  }
  if (accel === 'tcg' && !driver.capabilities.emulation) {
    throw new AppError('host_unsupported', `The driver ${name} runs VMs with hardware virtualisation only.`, {
      hint: 'Set AIRLOCK_ACCEL=auto, and see `npx airlock doctor`.',
    });
  }
  return driver;
}

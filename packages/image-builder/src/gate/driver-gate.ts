/**
 * The gate of a driver that image builds do not use: boots the current image with it as the controller would, in a namespace and locked up,
 * and keeps what was seen for the controller's choice.
 */
import { rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gateKey, writeGate, type DriverGate } from '@airlock/contract/driver-gate';
import { AppError } from '@airlock/contract/errors';
import { homePaths } from '@airlock/contract/home';
import { claimFolder, findMemoryFolder, secretFolderOf } from '@airlock/contract/memory-folder';
import { chooseNetwork } from '@airlock/contract/network-choice';
import { runProbe } from '@airlock/contract/run-probe';
import { findImage } from '../image.js';
import { runGate, type GateOptions, type GateReport } from './gate.js';
import type { GateHost } from './vm.js';

export interface DriverGateOptions extends Pick<GateOptions, 'signal' | 'note'> {
  home: string;
  driver: string;
  accel: GateHost['accel'];
  /** Of the privileged helper. */
  helperSocket: string;
}

/** The helper has one VM of this id at a time: two gates at once refuse one another. */
const vmId = 'vm_00000000000gate0';

/**
 * A gate that failed is an answer, too.
 * @throws AppError what keeps this host from trying: helper_unavailable, network_unavailable, vmm_unavailable, image_missing, image_too_old
 */
export async function runDriverGate(options: DriverGateOptions): Promise<DriverGate> {
  const { home, driver, accel, signal, note } = options;
  const paths = homePaths(home);
  const { id: imageId } = await findImage(paths.images.folder);
  const choice = await chooseNetwork('netns', options.helperSocket);
  const program = fileURLToPath(import.meta.resolve('@airlock/runner/main'));
  const { drivers } = await runProbe({ program, cache: paths.hostProbe, signal });
  const found = drivers.find(({ name, path }) => name === driver && path !== null);
  if (!found) {
    const why = drivers.find(({ name }) => name === driver)?.reason ?? 'this version of Airlock has no such driver.';
    throw new AppError('vmm_unavailable', `The image cannot be booted with ${driver}: ${why}`);
  }
  // Before the boot: what it says holds for the program that was there.
  const key = await gateKey(found);
  const { secretFolder, leave } = await placeOf(home);
  try {
    const host = { cache: paths.hostProbe, accel, tried: { driver, vmId, choice, secretFolder } };
    const report = await runGate(paths.images.image(imageId), { signal, note, full: false, host });
    const gate = { ...key, imageId, at: new Date().toISOString(), passed: report.passed, reason: reasonOf(report) };
    await writeGate(home, driver, gate);
    return gate;
  } finally {
    await leave();
  }
}

function reasonOf({ passed, figures, steps }: GateReport): string {
  const last = steps.at(-1);
  return passed ? `Its desktop was usable ${figures['ready_ms']} ms after power-on.` : `${last?.name}: ${last?.detail}`;
}

/** Where the helper looks for the config drive of a VM; what the runner puts there it takes away by itself. */
async function placeOf(home: string): Promise<{ secretFolder: string; leave(): Promise<void> }> {
  const memory = await findMemoryFolder();
  if ('problem' in memory)
    throw new AppError('host_unsupported', memory.problem, { hint: 'Mount a tmpfs on /dev/shm.' });
  const secretFolder = secretFolderOf(memory.path, home, vmId);
  await claimFolder(dirname(secretFolder));
  await claimFolder(secretFolder);
  const leave = async (): Promise<void> => {
    for (const folder of [secretFolder, dirname(secretFolder)]) await rmdir(folder).catch(unlessInUse);
  };
  return { secretFolder, leave };
}

function unlessInUse(error: NodeJS.ErrnoException): void {
  if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(error.code ?? '')) throw error;
}

/** What was made for the VM of one connection, and its end. */
import { rm } from 'node:fs/promises';
import { AppError } from '@airlock/contract/errors';
import type { JailRequest } from '@airlock/contract/privileged';
import { abandoned, claim, isTaken, release } from './claim.js';
import type { HelperConfig } from './config.js';
import { removeCgroups } from './jail/cgroup.js';
import { giveBackId, sweepIds, takeId } from './jail/ids.js';
import { startJail, type Jail, type JailEvents } from './jail/jail.js';
import { makeNetwork, removeNetwork } from './network/slot.js';

/** Milliseconds that a killed runner's helper may take to give everything back, before the VM is somebody else's. */
const givingBackMs = 5000;

export interface Vm {
  /** Of the sockets of its network. */
  folder: string;
  /** Resolves when something of it has ended by itself, so that the rest is of no use. */
  ended: Promise<void>;
  /** Gives everything back. */
  close(): Promise<void>;
  /** Starts its VMM, once. @throws AppError invalid_request, and those of `startJail` */
  start(request: JailRequest, events: JailEvents): Promise<Jail>;
}

/** @throws AppError network_unavailable, vm_ids_exhausted, vm_id_refused: nothing is left */
export async function createVm(config: HelperConfig, vmId: string, vmUser?: number): Promise<Vm> {
  const base = await claim(config.run, vmId, (left) => recover(config, vmId, left), givingBackMs);
  let uid: number | undefined;
  const giveBack = async (): Promise<void> => {
    await removeNetwork(config, vmId, base);
    await release(config.run, vmId);
    if (uid !== undefined) await giveBackId(config.run, uid);
  };
  try {
    const own = (uid = await takeId(config.run, config.ids, vmUser));
    const slot = await makeNetwork(config, vmId, base, own);
    let jail: Promise<Jail> | undefined;
    const close = async (): Promise<void> => {
      await jail?.then(
        (one) => one.close(),
        () => undefined,
      );
      await slot.close();
      await giveBack();
    };
    const start = (request: JailRequest, events: JailEvents): Promise<Jail> => {
      if (jail) throw new AppError('invalid_request', 'The VMM of this connection was started already.');
      return (jail = startJail({ config, vmId, base, uid: own, request, events }));
    };
    return { folder: slot.folder, ended: slot.relayEnded, close, start };
  } catch (error) {
    await giveBack();
    throw error;
  }
}

/** What a killed helper had for this VM. All processes in its namespace are ended before its cgroups are removed. */
async function recover(config: HelperConfig, vmId: string, left: string): Promise<void> {
  await removeNetwork(config, vmId, left);
  await removeCgroups(vmId);
}

/** Gives back what killed helpers have left, unless another process is at it already. */
export async function sweep(config: HelperConfig): Promise<void> {
  const { vmIds, aside } = await abandoned(config.run);
  for (const vmId of vmIds) await sweepVm(config, vmId);
  for (const { vmId, left } of aside) {
    const swept = await sweepVm(config, vmId, () => recover(config, vmId, left));
    // Where somebody has the VM, its network was made anew and is not what this has left.
    if (swept) await rm(left, { recursive: true, force: true });
  }
  await sweepIds(config.run);
}

/** False: another process has the VM. */
async function sweepVm(
  config: HelperConfig,
  vmId: string,
  also: () => Promise<void> = async () => undefined,
): Promise<boolean> {
  const base = await claim(config.run, vmId, (left) => recover(config, vmId, left)).catch(nullIfTaken);
  if (base === null) return false;
  await also();
  await release(config.run, vmId);
  return true;
}

function nullIfTaken(error: unknown): null {
  if (isTaken(error)) return null;
  throw error;
}

/** What was made for the VM of one connection, and its end. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { abandoned, claim, isTaken } from './claim.js';
import type { HelperConfig } from './config.js';
import { makeNetwork, removeNetwork } from './network/slot.js';

export interface Vm {
  /** Of the sockets of its network. */
  folder: string;
  /** Resolves when something of it has ended by itself, so that the rest is of no use. */
  ended: Promise<void>;
  /** Gives everything back. */
  close(): Promise<void>;
}

/** @throws AppError network_unavailable: nothing is left */
export async function createVm(config: HelperConfig, vmId: string): Promise<Vm> {
  const base = await claim(config.run, vmId, () => removeNetwork(config, vmId, join(config.run, vmId)));
  const release = async (): Promise<void> => {
    await removeNetwork(config, vmId, base);
    await rm(base, { recursive: true });
  };
  try {
    const slot = await makeNetwork(config, vmId, base);
    const close = async (): Promise<void> => {
      await slot.close();
      await release();
    };
    return { folder: slot.folder, ended: slot.relayEnded, close };
  } catch (error) {
    await release();
    throw error;
  }
}

/** Gives back what killed helpers have left, unless another process is at it already. */
export async function sweep(config: HelperConfig): Promise<void> {
  for (const vmId of await abandoned(config.run)) {
    const remove = (): Promise<void> => removeNetwork(config, vmId, join(config.run, vmId));
    const base = await claim(config.run, vmId, remove).catch(nullIfTaken);
    if (base !== null) await rm(base, { recursive: true });
  }
}

function nullIfTaken(error: unknown): null {
  if (isTaken(error)) return null;
  throw error;
}

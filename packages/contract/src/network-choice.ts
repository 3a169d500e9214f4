/** Which network VMs of this host get, and why: what the setting asks for, and what the privileged helper says. */
import { AppError } from './errors.js';
import { connectHelper } from './helper-client.js';
import { HelperStatus, type VmUsers } from './privileged.js';
import type { Settings } from './settings.js';
import type { VmNetwork } from './started-with.js';

export interface NetworkChoice {
  network: VmNetwork;
  /** One sentence: why this network. */
  networkReason: string;
  /** Of the helper; null where it is not asked for anything. */
  helperSocket: string | null;
  /** The user ids that the helper has for VMMs; null: it chooses by itself, or there is none. */
  vmUsers: VmUsers | null;
}

/** @throws AppError helper_unavailable, network_unavailable when AIRLOCK_NETWORK=netns and there can be none */
export async function chooseNetwork(wanted: Settings['AIRLOCK_NETWORK'], socket: string): Promise<NetworkChoice> {
  const user = (networkReason: string): NetworkChoice => ({
    network: 'user',
    networkReason,
    helperSocket: null,
    vmUsers: null,
  });
  if (wanted === 'user') return user('AIRLOCK_NETWORK=user asks for it.');
  try {
    const { problem, vmUsers = null } = await askHelper(socket);
    if (problem !== null) throw new AppError('network_unavailable', problem, { hint });
    const networkReason = `The privileged helper answers at ${socket}.`;
    return { network: 'netns', networkReason, helperSocket: socket, vmUsers };
  } catch (error) {
    if (wanted === 'netns') throw error;
    return user(AppError.inItsWords(error).message);
  }
}

const hint = 'docs/privileged-helper.md says how to install the helper; AIRLOCK_NETWORK=user needs none.';

/** @throws AppError helper_unavailable */
async function askHelper(path: string): Promise<HelperStatus> {
  const helper = await connectHelper(path);
  try {
    return await helper.ask({ verb: 'status' }, HelperStatus);
  } finally {
    await helper.close();
  }
}

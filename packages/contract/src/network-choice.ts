/** Which network VMs of this host get, and why: what the setting asks for, and what the privileged helper says. */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { VmNetwork } from './api.js';
import { AppError } from './errors.js';
import { HelperStatus, helperSocket, type VmUsers } from './privileged.js';
import type { Settings } from './settings.js';

export interface NetworkChoice {
  network: VmNetwork;
  /** One sentence: why this network. */
  networkReason: string;
  /** Of the helper; null where it is not asked for anything. */
  helperSocket: string | null;
  /** The user ids that the helper has for VMMs; null: it chooses by itself, or there is none. */
  vmUsers: VmUsers | null;
}

/** Milliseconds. */
const answerMs = 10_000;

/** @throws AppError helper_unavailable, network_unavailable when AIRLOCK_NETWORK=netns and there can be none */
export async function chooseNetwork(
  wanted: Settings['AIRLOCK_NETWORK'],
  socket: string = helperSocket,
): Promise<NetworkChoice> {
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
  const socket = connect(path);
  const late = setTimeout(() => socket.destroy(new Error(`no answer within ${answerMs} ms`)), answerMs);
  try {
    await once(socket, 'connect');
    socket.write(`${JSON.stringify({ verb: 'status' })}\n`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    return HelperStatus.parse(JSON.parse(answer.toString('utf8')));
  } catch (cause) {
    const why = (cause as Error).message;
    throw new AppError('helper_unavailable', `No privileged helper answers at ${path}: ${why}.`, { hint, cause });
  } finally {
    clearTimeout(late);
    socket.destroy();
  }
}

/**
 * The network of one VM: a namespace with one TAP interface, its packet filter, and a relay. No interface, route or address of it is
 * on the host. Leaves nothing behind after `removeNetwork`, which may be called in any state.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdir, readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inTime } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import { nullIfAbsent } from '@airlock/contract/file';
import { guestNetwork, guestPorts } from '@airlock/contract/guest';
import { namespaceOf, relaySockets, tapNetwork } from '@airlock/contract/privileged';
import { run, systemPath } from '@airlock/contract/process';
import type { HelperConfig } from '../config.js';
import { unprivileged } from '../unprivileged.js';
import { networkRules } from './rules.js';

const namespaces = '/run/netns';
const relayMain = fileURLToPath(new URL('relay.js', import.meta.url));
/** Milliseconds. */
const relayStartMs = 10_000;
const commandMs = 10_000;

export interface Slot {
  /** Of the sockets. */
  folder: string;
  /** Resolves when the relay has ended; never rejects. */
  relayEnded: Promise<void>;
  /** Ends the relay and waits for it. */
  close(): Promise<void>;
}

/** Path of a VM's namespace, for nsenter. */
export const namespacePath = (vmId: string): string => join(namespaces, namespaceOf(vmId));

/** `id`: of the VMM's user and group. @throws AppError network_unavailable; the caller removes what was made until then */
export async function makeNetwork(config: HelperConfig, vmId: string, base: string, id: number): Promise<Slot> {
  const namespace = namespaceOf(vmId);
  await command('ip', ['netns', 'add', namespace]);
  await command('ip', ['-n', namespace, '-batch', '-'], interfaces(id));
  await command('nsenter', [`--net=${namespacePath(vmId)}`, 'nft', '-f', '-'], networkRules());
  // Up only now: nothing has passed unfiltered.
  await command('ip', ['-n', namespace, '-batch', '-'], addresses());
  const folder = socketFolder(base);
  await mkdir(folder, { mode: 0o700 });
  await chown(folder, config.uid, config.gid);
  return startRelay(config, vmId, folder);
}

/** `ip -batch`. A VMM that opens the TAP by itself may do so, and nobody else. The kernel makes no IPv6 address of its own. */
function interfaces(id: number): string {
  const { tap, gatewayMac } = tapNetwork;
  return [
    `tuntap add dev ${tap} mode tap vnet_hdr user ${id} group ${id}`,
    `link set dev ${tap} address ${gatewayMac} addrgenmode none`,
  ].join('\n');
}

/** The guest is the only address that there is a route to, and what it says of its own hardware address is not listened to. */
function addresses(): string {
  const { tap, mac } = tapNetwork;
  const { address, gatewayHost } = guestNetwork;
  return [
    `link set dev ${tap} up`,
    `address add ${gatewayHost} peer ${address}/32 dev ${tap}`,
    `neighbour replace ${address} lladdr ${mac} dev ${tap} nud permanent`,
  ].join('\n');
}

/** What a relay joins, as its argument: names of sockets below its folder, addresses and ports in the namespace. */
export interface RelayPlan {
  host: string;
  localAddress: string;
  gateway: { socket: string; port: number };
  services: { socket: string; port: number }[];
}

const relayPlan: RelayPlan = {
  host: guestNetwork.address,
  localAddress: guestNetwork.gatewayHost,
  gateway: { socket: relaySockets.gateway, port: guestNetwork.gatewayPort },
  services: [
    { socket: relaySockets.agent, port: guestPorts.agent },
    { socket: relaySockets.desktop, port: guestPorts.vnc },
  ],
};

async function startRelay(config: HelperConfig, vmId: string, folder: string): Promise<Slot> {
  const relay = [process.execPath, relayMain, folder, JSON.stringify(relayPlan)];
  const child = spawn('nsenter', [`--net=${namespacePath(vmId)}`, '--', ...unprivileged(config, relay)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: systemPath() },
  });
  const relayEnded = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('exit', () => resolve());
  });
  const close = async (): Promise<void> => {
    child.kill('SIGKILL');
    await relayEnded;
  };
  try {
    await inTime(
      Promise.race([relayListens(child), relayEnded.then(() => Promise.reject(relayFailed()))]),
      relayStartMs,
      relayFailed,
    );
  } catch (error) {
    await close();
    throw error;
  }
  return { folder, relayEnded, close };
}

const relayListens = async (child: ChildProcess): Promise<void> =>
  void (child.stdout && (await once(child.stdout, 'data')));

const relayFailed = (): AppError =>
  new AppError('network_unavailable', 'The relay into the network namespace of a VM did not start.', {
    hint: 'Its last words are in the log of the helper.',
  });

/** Removes the network of a VM, whatever of it there is; nothing of the VM runs any more. */
export async function removeNetwork(config: HelperConfig, vmId: string, base: string): Promise<void> {
  const folder = socketFolder(base);
  const sockets = await readdir(folder).catch(nullIfAbsent);
  if (sockets !== null) {
    // Of others, and so not followed as root: what is in it is removed by its owner.
    const [find = '', ...args] = unprivileged(config, ['find', folder, '-mindepth', '1', '-delete']);
    if (sockets.length > 0) await command(find, args);
    await rmdir(folder);
  }
  const names = (await readdir(namespaces).catch(nullIfAbsent)) ?? [];
  if (!names.includes(namespaceOf(vmId))) return;
  await endAllIn(namespaceOf(vmId));
  await command('ip', ['netns', 'delete', namespaceOf(vmId)]);
}

/** A process that a killed helper left would keep the namespace, without a name. */
async function endAllIn(namespace: string): Promise<void> {
  const pids = (await command('ip', ['netns', 'pids', namespace])).split('\n').filter(Boolean);
  for (const pid of pids) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

/** Which program for networks and jails does not work on this host, in one sentence; null when all do. */
export async function programProblem(): Promise<string | null> {
  if (process.getuid?.() !== 0) return 'The helper does not run as root.';
  const tries = [
    ['ip', ['netns', 'list']],
    ['nft', ['list', 'tables']],
    ...(['nsenter', 'setpriv', 'bwrap', 'perl'] as const).map((file) => [file, ['--version']] as const),
  ] as const;
  for (const [file, args] of tries) {
    try {
      await command(file, args);
    } catch (error) {
      return AppError.inItsWords(error).message;
    }
  }
  return null;
}

const socketFolder = (base: string): string => join(base, 's');

async function command(file: string, args: readonly string[], input?: string): Promise<string> {
  try {
    const env = { PATH: systemPath() };
    const { stdout } = await run(file, args, {
      cleanEnv: true,
      env,
      timeoutMs: commandMs,
      ...(input !== undefined && { input }),
    });
    return stdout;
  } catch (cause) {
    const { message } = AppError.inItsWords(cause);
    throw new AppError('network_unavailable', `The network namespace of a VM cannot be made or removed: ${message}`, {
      hint: 'It takes the packages iproute2 and nftables, and a kernel with nf_tables; `npx airlock doctor` looks at them.',
      cause,
    });
  }
}

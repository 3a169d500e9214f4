/** A browser VM without Airlock: QEMU started by hand with the arguments and the config drive that the runner would use. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { driveSize, encodeSlot } from '@airlock/contract/config-drive';
import { AppError, type ErrorCode } from '@airlock/contract/errors';
import { guestPorts, type GuestConfig } from '@airlock/contract/guest';
import { tail } from '@airlock/contract/process';
import { configDriveId, type VmSpec } from '@airlock/contract/runner';
import { createGuestAgent, type GuestAgent } from '@airlock/runner/guest/agent';
import { waitUntilReady } from '@airlock/runner/guest/readiness';
import { attachNetwork } from '@airlock/runner/network/network';
import { kernelArguments } from '@airlock/runner/vmm/kernel-arguments';
import { qemuArguments, qemuProgram } from '@airlock/runner/vmm/qemu/arguments';
import { listenAsProxy } from './proxy.js';
import { freePort } from '../support/port.js';

/** Milliseconds from power-on until both sides give up: emulation on a busy machine is slow. */
export const bootTimeoutMs = 300_000;

/** Milliseconds from power-on until the VNC server shows its banner, and until browser and terminal are on the screen. */
export interface BootTimes {
  vncMs: number;
  readyMs: number;
}

/** How to reach what runs in a VM that was just powered on. */
export interface BareGuest {
  agent: GuestAgent;
  /** Where x11vnc is reached, and the password that it takes once the guest is configured. */
  vnc: { to: { host: string; port: number }; password: string };
  /** Milliseconds since power-on. */
  elapsedMs(): number;
}

/** Boots once and pulls the plug. @throws AppError vm_boot_failed with the console's last lines, vm_boot_timeout, or aborted */
export function bootBare(spec: VmSpec, signal: AbortSignal): Promise<BootTimes> {
  return watchBare(spec, signal, (guest, either) => untilReady(guest, either));
}

/** Waits as the runner does. @throws AppError of the agent, or the reason of `signal` */
export async function untilReady(
  { agent, vnc, elapsedMs }: BareGuest,
  signal: AbortSignal,
  onConfigured: () => void = () => undefined,
): Promise<BootTimes> {
  let vncMs = 0;
  const events = {
    vnc: () => void (vncMs = elapsedMs()),
    agent: () => undefined,
    configured: onConfigured,
    part: () => undefined,
    notYet: () => undefined,
  };
  await waitUntilReady(agent, () => vnc.to, events, signal);
  return { vncMs, readyMs: elapsedMs() };
}

/** Boots once, looks on by `watch` and pulls the plug. @throws AppError as `bootBare`, and what `watch` throws */
export async function watchBare<T>(
  spec: VmSpec,
  signal: AbortSignal,
  watch: (guest: BareGuest, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'airlock-b-'));
  const network = await attachNetwork({
    accepts: ['user'],
    helperSocket: null,
    vmId: spec.vmId,
    folder,
    desktop: true,
  });
  const nowhere = await listenAsProxy({ path: network.gatewaySocket });
  try {
    const config = guestConfig(spec.vmId);
    const configDrive = join(folder, 'config');
    await writeFile(configDrive, driveOf(config), { mode: 0o600 });
    const [agent, vnc] = [await freePort(), await freePort()];
    const drives = [...spec.drives, { id: configDriveId, path: configDrive, readOnly: true }];
    const options = { ...spec, folder, drives, network: network.device, kernelArguments: kernelArguments(spec.kind) };
    // The runner lets QEMU choose its ports and asks the monitor for them.
    const args = qemuArguments(options).map((argument) =>
      argument
        .replace(`:0-:${guestPorts.agent}`, `:${agent}-:${guestPorts.agent}`)
        .replace(`:0-:${guestPorts.vnc}`, `:${vnc}-:${guestPorts.vnc}`),
    );
    const client = createGuestAgent(() => ({ host: '127.0.0.1', port: agent }), config.agentToken);
    try {
      return await powerOn(folder, args, signal, (elapsedMs, either) =>
        watch(
          { agent: client, vnc: { to: { host: '127.0.0.1', port: vnc }, password: config.vncPassword }, elapsedMs },
          either,
        ),
      );
    } finally {
      client.close();
    }
  } finally {
    nowhere.close();
    await rm(folder, { recursive: true });
  }
}

async function powerOn<T>(
  folder: string,
  args: string[],
  signal: AbortSignal,
  watch: (elapsedMs: () => number, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const poweredOnAt = performance.now();
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', qemuProgram, ...args], {
    cwd: folder,
    // The fourth is the monitor's socket pair, which nobody reads.
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => (output = (output + chunk.toString('latin1')).slice(-8192)));
  }
  const over = new AbortController();
  const fail = (code: ErrorCode, what: string): void =>
    over.abort(new AppError(code, `Bare QEMU ${what} before its desktop was up: ${tail(output, 5)}`));
  const exited = new Promise<void>((resolve) => {
    child.once('error', ({ message }) => (output += message));
    child.once('close', () => resolve(fail('vm_boot_failed', 'ended')));
  });
  const timer = setTimeout(() => fail('vm_boot_timeout', `was given ${bootTimeoutMs} ms, which passed`), bootTimeoutMs);
  try {
    return await watch(() => performance.now() - poweredOnAt, AbortSignal.any([signal, over.signal]));
  } catch (error) {
    // What ended the wait says more than the wait itself.
    over.signal.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(timer);
    child.kill('SIGKILL');
    await exited;
  }
}

function guestConfig(vmId: string): GuestConfig & { vncPassword: string } {
  const base = { version: 1, kind: 'browser', hostname: 'bench', timezone: 'Etc/UTC', epochMs: Date.now() } as const;
  const secrets = {
    entropy: randomBytes(64).toString('base64'),
    agentToken: randomBytes(32).toString('base64url'),
    vncPassword: randomBytes(4).toString('hex'),
  };
  return { ...base, ...secrets, vmId, sessionId: null, homeKey: null, extraCaPem: null };
}

function driveOf(config: GuestConfig): Buffer {
  const drive = Buffer.alloc(driveSize);
  const { offset, bytes } = encodeSlot({ generation: 1, config });
  bytes.copy(drive, offset);
  return drive;
}

/** A browser VM that belongs to nobody, run by the real runner: made for the gate, and gone with everything it wrote. */
import { randomBytes } from 'node:crypto';
import { open, readdir, readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { bootLimits, chooseHost, driverFor, type HostBeside, type HostChoice } from '@airlock/contract/capacity';
import { DesktopPasted, type DesktopSize } from '@airlock/contract/desktop';
import { AppError } from '@airlock/contract/errors';
import { GuestHealth } from '@airlock/contract/guest';
import { createJsonClient, type JsonClient } from '@airlock/contract/http-client';
import { newId } from '@airlock/contract/ids';
import { imageFiles, ImageManifest } from '@airlock/contract/image';
import type { NetworkChoice } from '@airlock/contract/network-choice';
import { tail } from '@airlock/contract/process';
import { runProbe } from '@airlock/contract/run-probe';
import { spawnRunner } from '@airlock/contract/spawn-runner';
import { rootDriveId, runnerFiles, RunnerStatus, VmSpec, type RunnerSecrets } from '@airlock/contract/runner';
import type { Settings } from '@airlock/contract/settings';
import { readStatusFile } from '@airlock/contract/status-file';
import { makeGateFolders } from './folders.js';
import { withHelper } from './helper.js';

export interface GateVm {
  accel: VmSpec['accel'];
  /** Resolves with the last status when the VM is ready. @throws AppError why it will never be */
  untilReady(): Promise<RunnerStatus>;
  health(): Promise<GuestHealth>;
  /** Gives the desktop another size. */
  resize(size: DesktopSize): Promise<void>;
  /** Pastes where the keyboard is; false: no program took it. */
  paste(text: string): Promise<boolean>;
  /** A new RFB stream that wants no password. @throws AppError desktop_not_ready */
  openDesktop(): Promise<Duplex>;
  /** Writes into the config drive's first slot, which the first generation does not use. */
  writeDrive(bytes: Buffer): Promise<void>;
  /** What the guest's console showed so far. */
  console(): Promise<string>;
  /** Kills the VM and removes its folders. May be called again. */
  end(): Promise<void>;
}

const runnerMain = fileURLToPath(import.meta.resolve('@airlock/runner/main'));
/** Nobody listens there: the VM needs no Internet, and must not reach any. */
const upstreamUrl = 'http://127.0.0.1:1';

/** What the controller goes by, too. */
export interface GateHost {
  /** Keeps the verdict on this host. */
  cache: string;
  accel: Settings['AIRLOCK_ACCEL'];
  /** A driver that is to be tried: its VM is as a controller's, without the gate's helper. */
  tried?: TriedDriver;
}

export interface TriedDriver {
  driver: string;
  vmId: string;
  choice: NetworkChoice;
  /** The caller's. */
  secretFolder: string;
}

/**
 * Powers a VM on, with the gate's helper in it unless a driver is tried. Without `host` that is probed anew.
 * @throws AppError host_unsupported, vmm_missing, vmm_unavailable, image_too_old, runner_failed
 */
export async function startGateVm(imageFolder: string, signal: AbortSignal, host?: GateHost): Promise<GateVm> {
  const probe = await runProbe({ program: runnerMain, signal, ...(host && { cache: host.cache }) });
  const { folder, secretFolder, remove } = await makeGateFolders();
  try {
    const manifest = ImageManifest.parse(JSON.parse(await readFile(join(imageFolder, imageFiles.manifest), 'utf8')));
    const choice = chooseHost(probe, besideOf(host));
    if (host?.tried) return await powerOn(folder, triedSpec(imageFolder, manifest, choice, host.tried), signal, remove);
    const spec = specOf(imageFolder, secretFolder, manifest, choice);
    const initrd = join(folder, imageFiles.initrd);
    await writeFile(initrd, withHelper(await readFile(spec.initrd)));
    return await powerOn(folder, { ...spec, initrd }, signal, remove);
  } catch (error) {
    await remove();
    throw error;
  }
}

/** A build tries what starts VMs anywhere: without the privileged helper, which takes no initrd but the image's. */
function besideOf(host: GateHost | undefined): HostBeside {
  const { accel = 'auto', tried } = host ?? {};
  const user = { network: 'user', networkReason: 'The gate of a build asks for it.' } as const;
  return { accel, vmm: tried?.driver ?? 'auto', network: tried?.choice ?? user, gates: {} };
}

function triedSpec(imageFolder: string, manifest: ImageManifest, host: HostChoice, tried: TriedDriver): VmSpec {
  const { vmId, choice, secretFolder } = tried;
  const spec = specOf(imageFolder, secretFolder, manifest, host);
  return { ...spec, vmId, ...(choice.helperSocket !== null && { helperSocket: choice.helperSocket }) };
}

function specOf(imageFolder: string, secretFolder: string, manifest: ImageManifest, host: HostChoice): VmSpec {
  const { accel, tscKhz } = host;
  return VmSpec.parse({
    version: 2,
    vmId: newId('vm'),
    kind: 'browser',
    epoch: 1,
    driver: driverFor(host, manifest, 'browser').driver,
    accel,
    cpus: 2,
    memoryMib: 2048,
    kernel: join(imageFolder, imageFiles.kernel),
    initrd: join(imageFolder, imageFiles.initrd),
    drives: [{ id: rootDriveId, path: join(imageFolder, imageFiles.rootfs), readOnly: true }],
    secretFolder,
    ...bootLimits(host),
    directHosts: [],
    tscKhz,
  });
}

function secretsOf({ vmId }: VmSpec): RunnerSecrets {
  return {
    upstream: { url: upstreamUrl, trialHosts: [] },
    guestConfig: {
      version: 1,
      vmId,
      kind: 'browser',
      sessionId: null,
      hostname: 'gate',
      timezone: 'Etc/UTC',
      epochMs: Date.now(),
      entropy: randomBytes(64).toString('base64'),
      agentToken: randomBytes(32).toString('base64url'),
      vncPassword: randomBytes(4).toString('hex'),
      homeKey: null,
      extraCaPem: null,
    },
  };
}

async function powerOn(
  folder: string,
  spec: VmSpec,
  signal: AbortSignal,
  remove: () => Promise<void>,
): Promise<GateVm> {
  await writeFile(join(folder, runnerFiles.spec), JSON.stringify(spec), { mode: 0o600 });
  const { child, exited } = await spawnRunner({
    program: runnerMain,
    folder,
    secrets: secretsOf(spec),
    outlives: false,
    low: false,
  });
  let ending: string | null = null;
  const told = (how: string): unknown => (ending = how);
  exited.then(told, (error: unknown) => told(AppError.inItsWords(error).message));
  const socketPath = join(folder, runnerFiles.socket);
  const name = 'the runner of the boot gate';
  const client = createJsonClient({ baseUrl: 'http://runner', socketPath, unreachable: 'runner_failed', name });
  const console = async (): Promise<string> => readFile(join(folder, runnerFiles.serialLog), 'latin1').catch(() => '');

  async function untilReady(): Promise<RunnerStatus> {
    for (let revision = -1; ;) {
      signal.throwIfAborted();
      // Until it listens there is no socket; once it has ended there is only its last word.
      const status = await client
        .call('GET', `/status?after=${revision}`, RunnerStatus, { signal, timeoutMs: 40_000 })
        .catch(async (error: unknown) => lastWord(folder, error));
      if (status?.phase === 'ready') return status;
      if (status?.error) throw AppError.fromBody(status.error);
      if (ending !== null) throw await runnerEnded(folder, ending);
      revision = status?.revision ?? revision;
      if (!status) await Promise.race([exited, new Promise((resolve) => setTimeout(resolve, 50))]);
    }
  }

  return {
    accel: spec.accel,
    untilReady,
    health: () => client.call('GET', '/guest/health', GuestHealth, { signal, timeoutMs: 15_000 }),
    ...handsOf(client, signal),
    openDesktop: () => upgrade(socketPath, signal),
    console,
    async writeDrive(bytes) {
      const [drive] = (await readdir(spec.secretFolder)).filter((file) => file.endsWith('.config'));
      if (drive === undefined) throw new AppError('runner_failed', 'The boot gate’s VM has no config drive.');
      await writeInto(join(spec.secretFolder, drive), bytes);
    },
    async end() {
      // The VMM is bound to the runner's life by the kernel.
      if (ending === null) {
        await client.call('POST', '/stop', null, { body: { graceMs: 0 } }).catch(() => child.kill('SIGKILL'));
        const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
        await exited;
        clearTimeout(timer);
      }
      await client.close();
      await remove();
    },
  };
}

/** What the agent does with the desktop besides RFB. */
function handsOf(client: JsonClient, signal: AbortSignal): Pick<GateVm, 'resize' | 'paste'> {
  const call = { signal, timeoutMs: 15_000 };
  return {
    resize: async (body) => client.call('POST', '/guest/desktop/size', null, { body, ...call }),
    async paste(text) {
      const body = { text, masked: false };
      return (await client.call('POST', '/guest/desktop/paste', DesktopPasted, { body, ...call })).fetched;
    },
  };
}

/** At the beginning of a file that is there. */
async function writeInto(path: string, bytes: Buffer): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.write(bytes, 0, bytes.length, 0);
  } finally {
    await file.close();
  }
}

/** status.json of a runner that no longer answers, or null while there is none. @throws `error` when it was an abort */
async function lastWord(folder: string, error: unknown): Promise<RunnerStatus | null> {
  if (AppError.inItsWords(error).code === 'aborted') throw error;
  return readStatusFile(join(folder, runnerFiles.status)).catch(() => null);
}

async function runnerEnded(folder: string, ending: string): Promise<AppError> {
  const lastLog = tail(await readFile(join(folder, runnerFiles.runnerLog), 'utf8').catch(() => ''));
  return new AppError('runner_failed', `The runner of the boot gate’s VM ${ending}.`, { details: { lastLog } });
}

function upgrade(socketPath: string, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const headers = { connection: 'Upgrade', upgrade: 'rfb' };
    const call = request({ socketPath, path: '/desktop', headers, timeout: 30_000, signal });
    const refuse = (cause?: unknown): void =>
      reject(new AppError('desktop_not_ready', 'The runner does not open the desktop.', { cause }));
    call.once('upgrade', (_answer, socket, head) => {
      socket.setTimeout(0);
      socket.on('error', () => socket.destroy());
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    call.once('response', (answer) => {
      answer.resume();
      refuse();
    });
    call.once('timeout', () => call.destroy());
    call.once('error', refuse);
    call.end();
  });
}

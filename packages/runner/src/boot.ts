/**
 * The resources of one VM, made in order and registered for cleanup at once: network, egress gateway, logs, config drive, VMM.
 * The caller runs the cleanup; nothing here survives it.
 */
import { join } from 'node:path';
import type { ErrorBody } from '@airlock/contract/errors';
import { configDriveId, runnerFiles, type RunnerSecrets, type VmSpec } from '@airlock/contract/runner';
import type { Logger } from 'pino';
import { openGateway, type Gateway } from './egress/gateway.js';
import type { Route } from './egress/way.js';
import { createConfigDrive, type ConfigDrive } from './guest/config-drive.js';
import { openBoundedLog, type BoundedLog } from './lib/bounded-log.js';
import type { Cleanup } from './lib/cleanup.js';
import { attachNetwork, type Network } from './network/network.js';
import type { Vmm, VmmDriver, VmmEnd } from './vmm/driver.js';
import { kernelArguments } from './vmm/kernel-arguments.js';
import { chooseDriver } from './vmm/registry.js';
import { checkDisks } from './vmm/disks.js';
import { createSerialWatch } from './vmm/serial.js';

/** Refusals that are logged one by one; a guest must not be able to fill the log. */
const loggedRefusals = 200;

export interface BootContext {
  folder: string;
  spec: VmSpec;
  secrets: RunnerSecrets;
  log: Logger;
  cleanup: Cleanup;
  onUpstreamError: (error: ErrorBody) => void;
  /** The guest has written something on its serial console. */
  onConsole: () => void;
  /** The serial console shows that the system cannot boot. */
  onBootFailure: (meaning: string, lastLog: string) => void;
  /** The VMM has ended, for whatever reason; with the last lines of the guest's console. */
  onEnd: (end: VmmEnd, lastLog: string) => void;
}

/** What the VM is connected with before it is powered on. */
export interface Connections {
  driver: VmmDriver;
  network: Network;
  gateway: Gateway;
  drive: ConfigDrive;
}

export interface PoweredVm {
  vmm: Vmm;
  serial: BoundedLog;
}

/** Makes the VM's network, its way out and its config drive. @throws AppError host_unsupported, aborted */
export async function connect(context: BootContext, signal: AbortSignal): Promise<Connections> {
  const { folder, spec, secrets, cleanup } = context;
  const driver = chooseDriver(spec);
  const desktop = secrets.guestConfig.vncPassword !== null;
  const network = await attachNetwork({
    ...{ accepts: driver.capabilities.networks, helperSocket: spec.helperSocket ?? null },
    ...{ vmId: spec.vmId, vmUser: spec.vmUser, folder, desktop },
  });
  cleanup.add('network', () => network.detach());
  signal.throwIfAborted();
  const gateway = await openEgress(context, network.gatewaySocket);
  const drive = await createConfigDrive(spec.secretFolder, secrets.guestConfig);
  cleanup.add('config drive', () => drive.remove());
  return { driver, network, gateway, drive };
}

async function openEgress(context: BootContext, socketPath: string): Promise<Gateway> {
  const { spec, secrets, log, cleanup } = context;
  let logged = 0;
  const gateway = await openGateway({
    ...{ socketPath, closed: spec.waits === true, ...routeOf(secrets.upstream, spec) },
    onUpstreamError: context.onUpstreamError,
    onRefused: (error) => {
      logged += 1;
      if (logged <= loggedRefusals) log.warn({ code: error.code, hint: error.hint }, error.message);
    },
  });
  cleanup.add('egress gateway', () => gateway.close());
  return gateway;
}

export const routeOf = (
  upstream: RunnerSecrets['upstream'],
  { directHosts, allowedPrivateHosts }: Pick<VmSpec, 'directHosts' | 'allowedPrivateHosts'>,
): Route => ({ upstreamUrl: upstream?.url ?? null, directHosts, allowedPrivateHosts });

/** Has the gateway try its upstream with these hosts, in the background. */
export function tryUpstream(
  { log }: Pick<BootContext, 'log'>,
  gateway: Gateway,
  hosts: readonly string[],
  over: AbortSignal,
): void {
  gateway.tryUpstream(hosts, over).catch((err: unknown) => log.error({ err }, 'the upstream could not be tried'));
}

/** Powers the VM on. @throws AppError vm_boot_failed, image_missing, home_unusable, vmm_missing, vmm_failed, aborted */
export async function powerOn(context: BootContext, parts: Connections, signal: AbortSignal): Promise<PoweredVm> {
  const { folder, spec, cleanup } = context;
  const { driver, network, drive } = parts;
  await checkDisks(spec);
  const serial = await openLog(context, runnerFiles.serialLog);
  const messages = await openLog(context, runnerFiles.vmmLog);
  const watch = createSerialWatch((meaning) => context.onBootFailure(meaning, serial.lastLines(20)));
  const { vmId, kind, accel, cpus, memoryMib, kernel, initrd, tscKhz } = spec;
  const vmm = await driver.start(
    {
      ...{ vmId, accel, cpus, memoryMib, folder, kernel, initrd, tscKhz, kernelArguments: kernelArguments(kind) },
      drives: [...spec.drives, { id: configDriveId, path: drive.path, readOnly: true }],
      network: network.device,
      onSerial: (chunk) => {
        serial.write(chunk);
        context.onConsole();
        watch(chunk);
      },
      onMessage: (chunk) => messages.write(chunk),
      lastMessages: () => messages.lastLines(20),
    },
    signal,
  );
  cleanup.add('vmm', () => vmm.kill());
  const ended = vmm.exited.then((end) => context.onEnd(end, serial.lastLines(20)));
  ended.catch((err: unknown) => context.log.error({ err }, 'the end of the VMM could not be told'));
  network.poweredOn(vmm.forwards);
  return { vmm, serial };
}

async function openLog({ folder, log, cleanup }: BootContext, name: string): Promise<BoundedLog> {
  const file = await openBoundedLog(join(folder, name), (err) => log.error({ err }, `${name} cannot be written`));
  cleanup.add(name, () => file.close());
  return file;
}

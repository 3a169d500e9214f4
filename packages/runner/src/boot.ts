/**
 * The resources of one VM, made in order and registered for cleanup at once: egress gateway, config drive, logs, VMM.
 * The caller runs the cleanup; nothing here survives it.
 */
import { join } from 'node:path';
import { AppError, type ErrorBody } from '@airlock/contract/errors';
import { rootDriveId, runnerFiles, type RunnerSecrets, type VmSpec } from '@airlock/contract/runner';
import type { Logger } from 'pino';
import { openGateway, type Gateway } from './egress/gateway.js';
import { createConfigDrive } from './guest/config-drive.js';
import { openBoundedLog, type BoundedLog } from './lib/bounded-log.js';
import type { Cleanup } from './lib/cleanup.js';
import { parseUsernet, userNetdev, type GuestPorts } from './network/user.js';
import type { Vmm, VmmExit } from './vmm/driver.js';
import { qemuDriver } from './vmm/qemu.js';
import { checkRootDisk } from './vmm/root-disk.js';
import { createSerialWatch } from './vmm/serial.js';

/** Names inside the VM folder that only the runner and its VMM use. */
const egressSocket = 'e.sock';
/** Refusals that are logged one by one; a guest must not be able to fill the log. */
const loggedRefusals = 200;

export interface BootContext {
  folder: string;
  spec: VmSpec;
  secrets: RunnerSecrets;
  log: Logger;
  cleanup: Cleanup;
  onUpstreamError: (error: ErrorBody) => void;
  /** The serial console shows that the system cannot boot. */
  onBootFailure: (meaning: string, lastLog: string) => void;
  /** The VMM has ended, for whatever reason; with the last lines of the guest's console and of the VMM. */
  onExit: (exit: VmmExit, lastLog: string, lastMessages: string) => void;
}

export interface Machine {
  vmm: Vmm;
  ports: GuestPorts;
  serial: BoundedLog;
}

/** Opens this VM's way out. */
export async function openEgress(context: BootContext): Promise<Gateway> {
  const { folder, spec, secrets, log, cleanup } = context;
  let logged = 0;
  const gateway = await openGateway({
    socketPath: join(folder, egressSocket),
    upstreamUrl: secrets.upstream?.url ?? null,
    directHosts: spec.directHosts,
    onUpstreamError: context.onUpstreamError,
    onRefused: (error) => {
      logged += 1;
      if (logged <= loggedRefusals) log.warn({ code: error.code }, error.message);
    },
  });
  cleanup.add('egress gateway', () => gateway.close());
  return gateway;
}

/** Powers the VM on. @throws AppError vm_boot_failed, image_missing, vmm_missing, vmm_failed, aborted */
export async function powerOn(context: BootContext, signal: AbortSignal): Promise<Machine> {
  const { folder, spec, secrets, log, cleanup } = context;
  const rootDisk = spec.drives.find(({ id }) => id === rootDriveId)?.path;
  if (rootDisk === undefined) throw new AppError('internal', 'The specification names no root drive.');
  await checkRootDisk(rootDisk);

  const openLog = async (name: string): Promise<BoundedLog> => {
    const file = await openBoundedLog(join(folder, name), (err) => log.error({ err }, `${name} cannot be written`));
    cleanup.add(name, () => file.close());
    return file;
  };
  const serial = await openLog(runnerFiles.serialLog);
  const messages = await openLog(runnerFiles.vmmLog);
  const drive = await createConfigDrive(spec.secretFolder, secrets.guestConfig);
  cleanup.add('config drive', () => drive.remove());

  const desktop = secrets.guestConfig.vncPassword !== null;
  const watch = createSerialWatch((meaning) => context.onBootFailure(meaning, serial.lastLines(20)));
  const { vmId, kind, accel, cpus, memoryMib, kernel, initrd, tscKhz } = spec;
  const vmm = await qemuDriver.start(
    {
      ...{ vmId, kind, accel, cpus, memoryMib, folder, kernel, initrd, rootDisk, tscKhz },
      configDrive: drive.path,
      netdev: userNetdev('net0', { desktop, gatewaySocket: egressSocket }),
      onSerial: (chunk) => {
        serial.write(chunk);
        watch(chunk);
      },
      onMessage: (chunk) => messages.write(chunk),
      lastMessages: () => messages.lastLines(20),
    },
    signal,
  );
  cleanup.add('vmm', () => vmm.kill());
  void vmm.exited.then((exit) => context.onExit(exit, serial.lastLines(20), messages.lastLines(20)));
  return { vmm, serial, ports: parseUsernet(await vmm.monitor('info usernet'), desktop) };
}

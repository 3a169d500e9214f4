/** Making and starting a VM: its row first, then folder, secrets and runner; on failure nothing of the start is left. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { AppError } from '@airlock/contract/errors';
import type { VmKind } from '@airlock/contract/api';
import type { VmDeps } from './create.js';
import type { VmRow } from './vm.js';
import { newVmId, noTimings, type NewVm, type VmRows } from './rows.js';
import { runnerSecrets, secretFolderOf, vmSpec } from './spec.js';
import type { Watcher } from './watch.js';

export interface Power {
  /** The row of a new VM. @throws AppError image_missing, image_corrupt, capacity_exhausted */
  insert(kind: VmKind, vm: NewVm): Promise<VmRow>;
  /** Starts the runner of a VM that is creating or stopped. Whoever takes the VM away waits for `settled` first. */
  on(row: VmRow): Promise<VmRow>;
  /** The first start of a browser VM, in the background: its row tells how it went. */
  launch(row: VmRow): void;
  /** Resolves when no start of this VM is under way any more; never rejects. */
  settled(vmId: string): Promise<void>;
  /**
   * Gives up on a VM that could not be made or started: releases everything and tells the row why. Answers why.
   * What cannot be released now is left to the sweep.
   */
  fail(vmId: string, error: unknown): Promise<AppError>;
}

export function createPower(deps: VmDeps, rows: VmRows, watcher: Watcher): Power {
  const { engine, images, host, settings, log } = deps;
  const starting = new Map<string, Promise<void>>();

  async function start(row: VmRow): Promise<VmRow> {
    const fresh = { epoch: row.epoch + 1, error: null, timings: noTimings, readyAt: null };
    const started = await rows.move(row.id, 'starting', fresh, ['creating', 'stopped']);
    if (!started) throw new AppError('vm_not_running', `VM ${row.id} was destroyed before it could start.`);
    const image = await images.get(row.imageId);
    const homeKey = row.homeKeySealed === null ? null : await deps.secrets.open(`home/${row.id}`, row.homeKeySealed);
    const secrets = await runnerSecrets(started, homeKey, await rows.proxyPort(row.userId), settings);
    const secretFolder = await secretFolderOf(row.id, settings.AIRLOCK_HOME);
    const places = { folder: engine.folder(row.id), secretFolder };
    await engine.start(vmSpec(started, image, places, { settings, host }), secrets);
    watcher.watch(row.id);
    return started;
  }

  const power: Power = {
    async insert(kind, vm) {
      const image = await images.current();
      await requireMemory(settings.AIRLOCK_VM_MEMORY_MIB);
      const id = newVmId();
      const row = { ...vm, id, kind, imageId: image.manifest.id, accel: host.accel };
      if (kind === 'browser') return rows.insert({ ...row, homeKeySealed: null });
      return deps.secrets.sealing(async (seal) => {
        const homeKeySealed = await seal(`home/${id}`, randomBytes(64).toString('base64'));
        return rows.insert({ ...row, homeKeySealed });
      });
    },

    on(row) {
      const work = start(row);
      const settled = work
        .then(
          () => undefined,
          () => undefined,
        )
        .finally(() => starting.delete(row.id));
      starting.set(row.id, settled);
      return work;
    },

    launch(row) {
      void engine
        .prepare(row.id)
        .then(() => power.on(row))
        .catch((error: unknown) => power.fail(row.id, error))
        .catch((error: unknown) => log.error({ err: error, vmId: row.id }, 'what a VM failed with was not written'));
    },

    settled: async (vmId) => starting.get(vmId),

    async fail(vmId, error) {
      const why = AppError.from(error);
      log.warn({ vmId, code: why.code, reason: why.message }, 'VM could not start');
      try {
        await engine.stop(vmId, 0);
        await engine.remove(vmId);
        await rows.move(vmId, 'failed', { error: why.toBody(), homeKeySealed: null });
      } catch (failure) {
        log.error({ err: failure, vmId }, 'a VM that could not start was not cleaned up; trying again');
        await rows.move(vmId, 'stopping', { error: why.toBody(), destroyAt: new Date() });
      }
      watcher.forget(vmId);
      return why;
    },
  };
  return power;
}

/** @throws AppError capacity_exhausted when less than `memoryMib` is available, by the kernel's own estimate */
export async function requireMemory(memoryMib: number): Promise<void> {
  const available = /^MemAvailable:\s+(\d+) kB/m.exec(await readFile('/proc/meminfo', 'utf8'))?.[1];
  const availableMib = Math.floor(Number(available) / 1024);
  if (availableMib >= memoryMib) return;
  throw new AppError(
    'capacity_exhausted',
    `A VM needs ${memoryMib} MiB of memory; ${availableMib} MiB are available on this machine.`,
    {
      hint: 'Wait until another sign-in has ended, or give the machine more memory.',
    },
  );
}

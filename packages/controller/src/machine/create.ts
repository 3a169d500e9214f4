/**
 * VMs from row to runner and back. A row is written before anything is made and updated only from states that allow it, so
 * that a late writer changes nothing; whatever a crash leaves is put right by `reconcile`.
 */
import { and, eq, gt, inArray, isNotNull, lte, ne, notInArray, or } from 'drizzle-orm';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { AppError } from '@airlock/contract/errors';
import { CheckResult, GuestHealth } from '@airlock/contract/guest';
import { withPrefix, type JsonClient } from '@airlock/contract/http-client';
import { newId } from '@airlock/contract/ids';
import { runnerFiles } from '@airlock/contract/runner';
import type { Settings } from '@airlock/contract/settings';
import type { VmState } from '@airlock/contract/api';
import type { Engine } from '../engine/engine.js';
import type { Images } from '../image/image.js';
import type { Store } from '../store/store.js';
import { users, vms } from '../store/schema.js';
import { copyDisk, requireRoom } from './disk.js';
import type { Host } from './host.js';
import type { Machines, VmRow } from './machine.js';
import { makeSecretDir, runnerSecrets, vmSpec } from './spec.js';
import { createWatcher } from './watch.js';

export interface MachineDeps {
  store: Pick<Store, 'db'>;
  engine: Engine;
  images: Images;
  /** Seals the key of a CLI VM's home. */
  secrets: {
    seal(purpose: string, secret: string): Promise<string>;
    open(purpose: string, sealed: string): Promise<string>;
  };
  host: Host;
  settings: Settings;
  log: Logger;
}

const noTimings = { vncMs: null, agentMs: null, readyMs: null };
const finalStates: VmState[] = ['failed', 'destroyed'];
const openStates: VmState[] = ['creating', 'starting', 'running', 'stopping', 'stopped'];
/** Checks run CLIs, which under emulation take more than a minute to start. */
const checkTimeoutMs = 300_000;
const sweepIntervalMs = 1000;

/** The VMs of this controller. Call `reconcile` once before anything else. */
export function createMachines(deps: MachineDeps): Machines {
  const { engine, images, host, settings, log } = deps;
  const { db } = deps.store;
  const lifetime = new AbortController();
  const watcher = createWatcher({ db, engine, log, signal: lifetime.signal });
  /** One preparation of a CLI VM a user at a time. */
  const preparing = new Map<string, Promise<VmRow>>();
  const destroying = new Map<string, Promise<void>>();
  const starting = new Map<string, Promise<void>>();
  let sweeping: Promise<void> = Promise.resolve();
  const sweeper = setInterval(() => {
    sweeping = sweeping.then(sweep).catch((error: unknown) => log.error({ err: error }, 'sweep of VMs failed'));
  }, sweepIntervalMs);

  async function get(vmId: string): Promise<VmRow | undefined> {
    const [row] = await db.select().from(vms).where(eq(vms.id, vmId));
    return row;
  }

  /** Moves a VM to `state` when it is in one of `from`; undefined when it is not. */
  async function move(
    vmId: string,
    state: VmState,
    more: Partial<VmRow> = {},
    from = openStates,
  ): Promise<VmRow | undefined> {
    const [row] = await db
      .update(vms)
      .set({ ...more, state })
      .where(and(eq(vms.id, vmId), inArray(vms.state, from)))
      .returning();
    return row;
  }

  async function requireRunning(vmId: string): Promise<VmRow> {
    const row = await get(vmId);
    if (!row) throw new AppError('not_found', `There is no VM ${vmId}.`);
    if (row.state !== 'running' && row.state !== 'starting')
      throw new AppError('vm_not_running', `VM ${vmId} is ${row.state}.`);
    return row;
  }

  /** Starts the runner for a row in state creating or stopped. Whoever takes the VM away waits for the end of this first. */
  function powerOn(row: VmRow): Promise<VmRow> {
    const work = powerOnOnce(row);
    const settled = work.then(noop, noop).finally(() => starting.delete(row.id));
    starting.set(row.id, settled);
    return work;
  }

  async function powerOnOnce(row: VmRow): Promise<VmRow> {
    const started = await move(row.id, 'starting', {
      epoch: row.epoch + 1,
      error: null,
      timings: noTimings,
      readyAt: null,
    });
    if (!started) throw new AppError('vm_not_running', `VM ${row.id} was destroyed before it could start.`);
    const [user] = await db.select().from(users).where(eq(users.id, row.userId));
    const image = await images.get(row.imageId);
    const homeKey = row.homeKeySealed === null ? null : await deps.secrets.open(`home/${row.id}`, row.homeKeySealed);
    const secretDir = await makeSecretDir(row.id, settings.AIRLOCK_HOME);
    const spec = vmSpec(started, image, engine.folder(row.id), secretDir, settings);
    await engine.start(spec, await runnerSecrets(started, homeKey, user?.proxyPort ?? 0, settings));
    watcher.watch(row.id);
    return started;
  }

  async function insert(
    kind: 'browser' | 'cli',
    request: { userId: string; sessionId: string | null; destroyAt: Date | null },
  ): Promise<VmRow> {
    const image = await images.current();
    await requireMemory(settings.AIRLOCK_VM_MEMORY_MIB);
    const id = newId('vm');
    const homeKeySealed =
      kind === 'cli' ? await deps.secrets.seal(`home/${id}`, randomBytes(64).toString('base64')) : null;
    const [row] = await db
      .insert(vms)
      .values({
        ...request,
        id,
        kind,
        state: 'creating',
        imageId: image.manifest.id,
        accel: host.accel,
        homeKeySealed,
        timings: noTimings,
      })
      .returning();
    if (!row) throw new AppError('internal', 'The row of a VM was not returned.');
    return row;
  }

  /** Gives up on a VM that could not be made or started: releases everything and tells the row why. */
  async function fail(vmId: string, error: unknown): Promise<AppError> {
    const why = AppError.from(error);
    log.warn({ vmId, code: why.code, reason: why.message }, 'VM could not start');
    await engine.stop(vmId, 0);
    await engine.remove(vmId);
    await move(vmId, 'failed', { error: why.toBody() });
    watcher.forget(vmId);
    return why;
  }

  async function createBrowser(request: {
    userId: string;
    sessionId: string | null;
    destroyAt: Date | null;
  }): Promise<VmRow> {
    const row = await insert('browser', request);
    void engine
      .prepare(row.id)
      .then(() => powerOn(row))
      .catch((error: unknown) => fail(row.id, error));
    return row;
  }

  async function createCli(
    userId: string,
    sessionId: string | null,
    onProgress: (text: string) => void,
  ): Promise<VmRow> {
    const row = await insert('cli', { userId, sessionId, destroyAt: null });
    try {
      await engine.prepare(row.id);
      onProgress('copying its disk');
      const image = await images.get(row.imageId);
      await requireRoom(image.rootfs, engine.folder(row.id));
      await copyDisk(image.rootfs, join(engine.folder(row.id), runnerFiles.disk), lifetime.signal);
      return row;
    } catch (error) {
      throw await fail(row.id, error);
    }
  }

  async function liveCli(userId: string): Promise<VmRow | undefined> {
    const [row] = await db
      .select()
      .from(vms)
      .where(and(eq(vms.userId, userId), eq(vms.kind, 'cli'), notInArray(vms.state, finalStates)));
    return row;
  }

  async function prepareCli(
    userId: string,
    sessionId: string | null,
    onProgress: (text: string) => void,
  ): Promise<VmRow> {
    let row = (await liveCli(userId)) ?? (await createCli(userId, sessionId, onProgress));
    if (row.state === 'running') return row;
    if (row.state === 'creating' || row.state === 'stopped') {
      onProgress('starting');
      row = await powerOn(row).catch(async (error: unknown) => {
        throw await stopWithError(row.id, error);
      });
    }
    return watcher.waitReady(row.id, lifetime.signal, () => onProgress('starting'));
  }

  /** A CLI VM that does not start keeps its disk: it may hold logins. */
  async function stopWithError(vmId: string, error: unknown): Promise<AppError> {
    const why = AppError.from(error);
    await engine.stop(vmId, 0);
    await move(vmId, 'stopped', { error: why.toBody() });
    return why;
  }

  async function ensureCli(
    userId: string,
    sessionId: string | null,
    onProgress: (text: string) => void,
    signal: AbortSignal,
  ): Promise<VmRow> {
    const work =
      preparing.get(userId) ?? prepareCli(userId, sessionId, onProgress).finally(() => preparing.delete(userId));
    preparing.set(userId, work);
    work.catch(noop);
    return raceAbort(work, signal);
  }

  function destroy(vmId: string): Promise<void> {
    const work = destroying.get(vmId) ?? destroyOnce(vmId).finally(() => destroying.delete(vmId));
    destroying.set(vmId, work);
    return work;
  }

  async function destroyOnce(vmId: string): Promise<void> {
    // The time of destruction is written first: a crash from here on is finished by the next sweep.
    const row = await move(vmId, 'stopping', { destroyAt: new Date() });
    if (!row) return;
    await starting.get(vmId);
    watcher.forget(vmId);
    await engine.stop(vmId, 0);
    await engine.remove(vmId);
    await move(vmId, 'destroyed');
    log.info({ vmId, kind: row.kind }, 'VM destroyed');
  }

  async function stopCli(row: VmRow): Promise<void> {
    if (!(await move(row.id, 'stopping'))) return;
    await starting.get(row.id);
    watcher.forget(row.id);
    await engine.stop(row.id, 30_000);
    await move(row.id, 'stopped', { readyAt: null });
  }

  async function sweep(): Promise<void> {
    const due = await db
      .select({ id: vms.id })
      .from(vms)
      .where(and(isNotNull(vms.destroyAt), lte(vms.destroyAt, new Date()), notInArray(vms.state, finalStates)));
    for (const { id } of due) {
      await destroy(id).catch((error: unknown) =>
        log.error({ err: error, vmId: id }, 'VM could not be destroyed; trying again'),
      );
    }
  }

  /** One row after a restart: adopt when the runner lives, otherwise release what is left and say so. */
  async function reconcileRow(row: VmRow): Promise<void> {
    if (row.destroyAt !== null && row.destroyAt <= new Date()) return destroy(row.id);
    const found = await engine.status(row.id);
    if (found?.alive && found.status.epoch === row.epoch && row.state !== 'stopping') {
      log.info({ vmId: row.id }, 'VM adopted');
      watcher.watch(row.id);
      return;
    }
    await engine.stop(row.id, 0);
    if (row.kind === 'cli' && row.state !== 'creating') {
      await move(row.id, 'stopped', { readyAt: null });
      return;
    }
    await engine.remove(row.id);
    const error = new AppError('vm_lost', 'The VM ended while no controller was running.');
    await move(row.id, 'failed', { error: found?.status.error ?? error.toBody() });
  }

  return {
    async requireCapacity(userId) {
      const image = await images.current();
      await requireMemory(settings.AIRLOCK_VM_MEMORY_MIB);
      if (!(await liveCli(userId))) await requireRoom(image.rootfs, await engine.prepare());
    },

    createBrowser,
    ensureCli,
    get,
    destroy,
    waitReady: (vmId, onStatus, signal) => watcher.waitReady(vmId, signal, onStatus),

    async list(userId) {
      const recent = or(ne(vms.state, 'destroyed'), gt(vms.destroyAt, new Date(Date.now() - 3_600_000)));
      return db
        .select()
        .from(vms)
        .where(userId === null ? recent : and(eq(vms.userId, userId), recent))
        .orderBy(vms.createdAt);
    },

    async guest(vmId): Promise<JsonClient> {
      await requireRunning(vmId);
      return withPrefix(engine.client(vmId), '/guest');
    },

    async health(vmId) {
      await requireRunning(vmId);
      return engine.client(vmId).call('GET', '/guest/health', GuestHealth);
    },

    async runCheck(vmId, name) {
      await requireRunning(vmId);
      return engine.client(vmId).call('POST', `/guest/checks/${name}`, CheckResult, { timeoutMs: checkTimeoutMs });
    },

    async openDesktop(vmId) {
      const row = await requireRunning(vmId);
      if (row.kind !== 'browser') throw new AppError('desktop_not_ready', `VM ${vmId} has no desktop.`);
      return engine.openDesktop(vmId);
    },

    async scheduleDestroy(vmId, at) {
      await db
        .update(vms)
        .set({ destroyAt: at })
        .where(and(eq(vms.id, vmId), notInArray(vms.state, finalStates)));
    },

    async stopAll() {
      const live = await db
        .select()
        .from(vms)
        .where(inArray(vms.state, ['creating', 'starting', 'running', 'stopping']));
      await Promise.all(live.map((row) => (row.kind === 'cli' ? stopCli(row) : destroy(row.id))));
    },

    async reconcile() {
      const open = await db
        .select()
        .from(vms)
        .where(and(notInArray(vms.state, finalStates), ne(vms.state, 'stopped')));
      await Promise.all(open.map(reconcileRow));
    },

    async lostFolders() {
      const [folders, known] = await Promise.all([
        engine.folders(),
        db.select({ id: vms.id }).from(vms).where(ne(vms.state, 'destroyed')),
      ]);
      const ids = new Set(known.map((row) => row.id));
      return folders.filter((id) => !ids.has(id)).map((id) => engine.folder(id));
    },

    async close() {
      clearInterval(sweeper);
      lifetime.abort(new AppError('shutting_down', 'The controller is shutting down.'));
      await sweeping;
      await watcher.close();
      await engine.close();
    },
  };
}

/** @throws AppError capacity_exhausted when less than `memoryMib` is available, by the kernel's own estimate */
async function requireMemory(memoryMib: number): Promise<void> {
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

const noop = (): void => undefined;

function raceAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(AppError.from(signal.reason));
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

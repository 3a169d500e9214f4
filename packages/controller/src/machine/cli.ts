/** CLI VMs: one a user, with a disk of its own. A CLI VM that does not start keeps its disk: it may hold logins. */
import { join } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { runnerFiles } from '@airlock/contract/runner';
import type { MachineDeps } from './create.js';
import { copyDisk, requireRoom } from './disk.js';
import type { CliGuard, Machines, VmRow } from './machine.js';
import type { Power } from './power.js';
import type { VmRows } from './rows.js';
import type { Watcher } from './watch.js';

/** Milliseconds for a CLI VM to shut down by itself. */
const shutdownMs = 30_000;

export interface CliMachines {
  ensure: Machines['ensureCli'];
  /** Powers it off; the disk stays. */
  stop(row: VmRow): Promise<void>;
}

/** `signal` ends whatever is being prepared. */
export function createCliMachines(
  deps: MachineDeps,
  rows: VmRows,
  power: Power,
  watcher: Watcher,
  guard: () => CliGuard,
  signal: AbortSignal,
): CliMachines {
  const { engine, images } = deps;
  /** One preparation a user at a time; everybody who asks meanwhile waits for the same one. */
  const preparing = new Map<string, Promise<VmRow>>();

  async function create(userId: string, sessionId: string | null, onProgress: (text: string) => void): Promise<VmRow> {
    const row = await power.insert('cli', { userId, sessionId, destroyAt: null });
    try {
      const folder = await engine.prepare(row.id);
      onProgress('copying its disk');
      const image = await images.get(row.imageId);
      await requireRoom(image.rootfs, folder);
      await copyDisk(image.rootfs, join(folder, runnerFiles.disk), signal);
      return row;
    } catch (error) {
      throw await power.fail(row.id, error);
    }
  }

  async function startKept(row: VmRow): Promise<VmRow> {
    try {
      return await power.on(row);
    } catch (error) {
      const why = AppError.from(error);
      await engine.stop(row.id, 0);
      await rows.move(row.id, 'stopped', { error: why.toBody() });
      throw why;
    }
  }

  async function prepare(userId: string, sessionId: string | null, onProgress: (text: string) => void): Promise<VmRow> {
    const row = (await rows.liveCli(userId)) ?? (await create(userId, sessionId, onProgress));
    if (row.state === 'creating' || row.state === 'stopped') {
      onProgress('starting');
      await guard().starting(row);
      await startKept(row);
    }
    const ready = row.state === 'running' ? row : await watcher.waitReady(row.id, signal, () => onProgress('starting'));
    await guard().ready(ready);
    return ready;
  }

  return {
    async ensure(userId, sessionId, onProgress, callerSignal) {
      const work =
        preparing.get(userId) ?? prepare(userId, sessionId, onProgress).finally(() => preparing.delete(userId));
      preparing.set(userId, work);
      // Nobody may be waiting any more when it fails: the row says why.
      work.catch(() => undefined);
      return raceAbort(work, callerSignal);
    },

    async stop(row) {
      if (row.state === 'running') await guard().ending(row);
      if (!(await rows.move(row.id, 'stopping'))) return;
      await power.settled(row.id);
      watcher.forget(row.id);
      await engine.stop(row.id, shutdownMs);
      await rows.move(row.id, 'stopped', { readyAt: null });
    },
  };
}

function raceAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(AppError.from(signal.reason));
    signal.addEventListener('abort', onAbort, { once: true });
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

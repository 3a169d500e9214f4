/** CLI VMs: one a user, with a disk of its own. A CLI VM that does not start keeps its disk: it may hold logins. */
import { join } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { runnerFiles } from '@airlock/contract/runner';
import type { VmDeps } from './create.js';
import { copyDisk, requireRoom } from './disk.js';
import type { CliGuard, CliUse, Vms, VmRow } from './vm.js';
import type { Power } from './power.js';
import type { VmRows } from './rows.js';
import type { Watcher } from './watch.js';

/** Milliseconds for a CLI VM to shut down by itself. */
const shutdownMs = 30_000;

export interface CliVms {
  ensure: Vms['ensureCli'];
  use: Vms['useCli'];
  /** Powers it off; the disk stays. */
  stop(row: VmRow): Promise<void>;
  /**
   * Begins to stop those that nobody has used for AIRLOCK_CLI_IDLE_S, and those whose stop has broken off; does not wait
   * for their end.
   */
  sweep(): Promise<void>;
}

/** `signal` ends whatever is being prepared. */
export function createCliVms(
  deps: VmDeps,
  rows: VmRows,
  power: Power,
  watcher: Watcher,
  guard: () => CliGuard,
  signal: AbortSignal,
): CliVms {
  const { engine, images, settings, log } = deps;
  /** One preparation a user at a time; everybody who asks meanwhile waits for the same one. */
  const preparing = new Map<string, Promise<VmRow>>();
  /** By VM: who starts one waits until it stands still. */
  const stopping = new Map<string, Promise<void>>();
  /** By user: how many use the CLI VM now. Uses end with the controller that knows them. */
  const uses = new Map<string, number>();

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
      await rows.move(row.id, 'stopping', { error: why.toBody() });
      // What cannot be released now is released by a later sweep, or by the next use.
      await release(row.id, 0).catch((failure: unknown) =>
        log.error({ err: failure, vmId: row.id }, 'a CLI VM that could not start was not cleaned up; trying again'),
      );
      throw why;
    }
  }

  async function prepare(userId: string, sessionId: string | null, onProgress: (text: string) => void): Promise<VmRow> {
    const row = (await standing(userId)) ?? (await create(userId, sessionId, onProgress));
    if (row.state === 'creating' || row.state === 'stopped') {
      onProgress('starting');
      await guard().starting(row);
      await startKept(row);
    }
    const ready = row.state === 'running' ? row : await watcher.waitReady(row.id, signal, () => onProgress('starting'));
    await guard().ready(ready);
    return ready;
  }

  /** The user's CLI VM once nobody is stopping it any more. */
  async function standing(userId: string): Promise<VmRow | undefined> {
    for (;;) {
      const row = await rows.liveCli(userId);
      if (row && stopping.has(row.id)) await stopping.get(row.id);
      else if (row && hasBrokenOff(row)) await stopAgain(row);
      else return row;
    }
  }

  const ensure: Vms['ensureCli'] = async (userId, sessionId, onProgress, callerSignal) => {
    const work =
      preparing.get(userId) ?? prepare(userId, sessionId, onProgress).finally(() => preparing.delete(userId));
    preparing.set(userId, work);
    // Nobody may be waiting any more when it fails: the row says why.
    work.catch(() => undefined);
    return raceAbort(work, callerSignal);
  };

  async function use(userId: string, onProgress: (text: string) => void, callerSignal: AbortSignal): Promise<CliUse> {
    uses.set(userId, (uses.get(userId) ?? 0) + 1);
    const end = (): void => {
      const left = (uses.get(userId) ?? 0) - 1;
      if (left > 0) uses.set(userId, left);
      else uses.delete(userId);
    };
    try {
      for (;;) {
        if (!(await rows.liveCli(userId))) throw new AppError('not_found', 'There is no CLI VM.');
        const { id } = await ensure(userId, null, onProgress, callerSignal);
        // Not running any more: its stop as idle had begun before this use.
        const vm = await rows.touch(id);
        if (!vm) continue;
        return {
          vm,
          release: async () => {
            end();
            await rows.touch(id);
          },
        };
      }
    } catch (error) {
      end();
      throw error;
    }
  }

  /** Stops the VM if `move` finds that it still may; one after the other for each VM. */
  function stop(row: VmRow, move: () => Promise<VmRow | undefined>): Promise<void> {
    const before = stopping.get(row.id) ?? Promise.resolve();
    const work = before.then(() => stopOnce(row, move));
    const settled = work
      .catch(() => undefined)
      .then(() => {
        if (stopping.get(row.id) === settled) stopping.delete(row.id);
      });
    stopping.set(row.id, settled);
    return work;
  }

  async function stopOnce(row: VmRow, move: () => Promise<VmRow | undefined>): Promise<void> {
    const runs = row.state === 'running';
    if (runs) await guard().ending(row);
    if (!(await move())) {
      // It goes on: the look before its end was not the last one.
      if (runs) await guard().starting(row);
      return;
    }
    await power.settled(row.id);
    await release(row.id, shutdownMs);
  }

  /** The last step of a stop. Where it fails, the row goes on to say `stopping`, and `stopAgain` does it again. */
  async function release(vmId: string, graceMs: number): Promise<void> {
    watcher.forget(vmId);
    await engine.stop(vmId, graceMs);
    await rows.move(vmId, 'stopped', { readyAt: null });
  }

  const stopAgain = (row: VmRow): Promise<void> => stop(row, () => rows.move(row.id, 'stopping', {}, ['stopping']));

  return {
    ensure,
    use,
    stop: (row) => stop(row, () => rows.move(row.id, 'stopping')),

    async sweep() {
      const before = new Date(Date.now() - settings.AIRLOCK_CLI_IDLE_S * 1000);
      for (const row of await rows.idle(before)) {
        if (uses.has(row.userId) || stopping.has(row.id)) continue;
        log.info({ vmId: row.id }, 'CLI VM is idle and is stopped');
        stop(row, async () => (uses.has(row.userId) ? undefined : rows.moveIdle(row.id, before))).catch(
          notStopped(row),
        );
      }
      for (const row of await rows.stopping()) {
        if (!stopping.has(row.id)) stopAgain(row).catch(notStopped(row));
      }
    },
  };

  function notStopped({ id }: VmRow) {
    return (error: unknown): void => log.error({ err: error, vmId: id }, 'a CLI VM could not be stopped; trying again');
  }
}

/** It is being stopped, not destroyed, and nobody is at it: the caller has looked at `stopping`. */
const hasBrokenOff = ({ state, destroyAt }: VmRow): boolean => state === 'stopping' && destroyAt === null;

function raceAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(AppError.from(signal.reason));
    signal.addEventListener('abort', onAbort, { once: true });
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

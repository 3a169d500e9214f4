/** Taking VMs away: on demand, when their time has come, and what a crash has left. */
import { AppError } from '@airlock/contract/errors';
import type { VmDeps } from './create.js';
import type { CliGuard, VmRow } from './vm.js';
import type { Power } from './power.js';
import type { VmRows } from './rows.js';
import type { Watcher } from './watch.js';

export interface End {
  /** Ends the VM and removes everything of it but its logs. Idempotent; calls at the same time share one run. */
  destroy(vmId: string): Promise<void>;
  /** Destroys every VM whose time has come. */
  sweep(): Promise<void>;
  /**
   * One row after a restart: adopts the VM when its runner lives, starts a browser VM that had not been
   * powered on, otherwise releases what is left and says so.
   */
  reconcile(row: VmRow): Promise<void>;
}

export function createEnd(deps: VmDeps, rows: VmRows, power: Power, watcher: Watcher, guard: () => CliGuard): End {
  const { engine, log } = deps;
  const destroying = new Map<string, Promise<void>>();

  async function destroyOnce(vmId: string): Promise<void> {
    const before = await rows.get(vmId);
    if (before?.kind === 'cli' && before.state === 'running') await guard().ending(before);
    // The time of destruction is written first: a crash from here on is finished by the next sweep.
    const row = await rows.move(vmId, 'stopping', { destroyAt: new Date() });
    if (!row) return;
    await power.settled(vmId);
    watcher.forget(vmId);
    await engine.stop(vmId, 0);
    await engine.remove(vmId);
    // Without its key, what a copy of the disk may still hold cannot be read.
    await rows.move(vmId, 'destroyed', { homeKeySealed: null });
    log.info({ vmId, kind: row.kind }, 'VM destroyed');
  }

  function destroy(vmId: string): Promise<void> {
    const work = destroying.get(vmId) ?? destroyOnce(vmId).finally(() => destroying.delete(vmId));
    destroying.set(vmId, work);
    return work;
  }

  return {
    destroy,

    async sweep() {
      for (const { id } of await rows.due()) {
        await destroy(id).catch((error: unknown) =>
          log.error({ err: error, vmId: id }, 'VM could not be destroyed; trying again'),
        );
      }
    },

    async reconcile(row) {
      if (row.destroyAt !== null && row.destroyAt <= new Date()) return destroy(row.id);
      const found = await engine.status(row.id);
      if (found?.alive && found.status.epoch === row.epoch && row.state !== 'stopping') {
        log.info({ vmId: row.id }, 'VM adopted');
        watcher.watch(row.id);
        return;
      }
      await engine.stop(row.id, 0);
      // Nothing has run of it yet: whoever asked for it is served by starting it now.
      const isNew = ['creating', 'starting'].includes(row.state) && (found?.status.poweredOnAt ?? null) === null;
      if (row.kind === 'browser' && isNew) {
        const again = await rows.move(row.id, 'creating');
        if (again) power.launch(again);
        return;
      }
      if (row.kind === 'cli' && row.state !== 'creating') {
        await rows.move(row.id, 'stopped', { readyAt: null });
        return;
      }
      await engine.remove(row.id);
      const lost = new AppError('vm_lost', 'The VM ended while no controller was running.');
      await rows.move(row.id, 'failed', { error: found?.status.error ?? lost.toBody(), homeKeySealed: null });
    },
  };
}

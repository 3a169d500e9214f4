/** Follows the runner of each VM by long polling and mirrors what it reports into the VM's row. */
import { EventEmitter, once } from 'node:events';
import { and, eq, inArray } from 'drizzle-orm';
import type { Logger } from 'pino';
import type { VmState } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import type { RunnerStatus } from '@airlock/contract/runner';
import type { Engine } from '../engine/engine.js';
import type { Database } from '../store/store.js';
import { vms } from '../store/schema.js';
import type { VmRow } from './vm.js';

export interface Watcher {
  /** Starts following a VM whose runner lives; a second call changes nothing. */
  watch(vmId: string): void;
  /** Stops following. */
  forget(vmId: string): void;
  /** @throws AppError what the VM failed with, an upstream failure that the runner reports, or aborted */
  waitReady(vmId: string, signal: AbortSignal, onStatus: (status: RunnerStatus) => void): Promise<VmRow>;
  close(): Promise<void>;
}

interface Followed {
  stop: AbortController;
  done: Promise<void>;
  last: RunnerStatus | undefined;
}

const since = (start: number | null, end: number | null): number | null =>
  start === null || end === null ? null : end - start;

const endStates: VmState[] = ['stopping', 'stopped', 'failed', 'destroyed'];

/** Why a VM that is not to be waited for has ended. */
function endOf({ id, state, error }: VmRow): AppError {
  if (error) return AppError.fromBody(error);
  if (state === 'stopping' || state === 'destroyed') return new AppError('vm_not_running', `VM ${id} was destroyed.`);
  return new AppError('vm_lost', `VM ${id} has ended.`);
}

/** Watches until `signal` aborts. */
export function createWatcher(deps: { db: Database; engine: Engine; log: Logger; signal: AbortSignal }): Watcher {
  const { db, engine, log } = deps;
  const followed = new Map<string, Followed>();
  /** Emits the VM's id whenever its row or its runner's status changed. */
  const changes = new EventEmitter().setMaxListeners(0);

  async function mirror(vmId: string, status: RunnerStatus): Promise<void> {
    const timings = {
      vncMs: since(status.poweredOnAt, status.vncAt),
      agentMs: since(status.poweredOnAt, status.agentAt),
      readyMs: since(status.poweredOnAt, status.readyAt),
    };
    const running = status.phase === 'ready';
    await db
      .update(vms)
      .set({ timings, ...(running && { state: 'running', readyAt: new Date(status.readyAt ?? Date.now()) }) })
      .where(and(eq(vms.id, vmId), inArray(vms.state, ['creating', 'starting', 'running'])));
  }

  /** The runner has ended by itself: the VM is gone. A CLI VM keeps its disk and can start again. */
  async function conclude(vmId: string): Promise<void> {
    const last = (await engine.status(vmId))?.status;
    const error =
      last?.error ??
      new AppError('vm_lost', 'The VM ended unexpectedly.', {
        hint: `See its logs: npx airlock vm logs ${vmId}`,
      }).toBody();
    const [row] = await db.select().from(vms).where(eq(vms.id, vmId));
    const kept = row?.kind === 'cli';
    const released = await release(vmId, kept).then(
      () => ({ state: kept ? 'stopped' : 'failed' }) as const,
      (failure: unknown) => {
        log.error({ err: failure, vmId }, 'a VM that ended was not cleaned up; trying again');
        return { state: 'stopping', ...(!kept && { destroyAt: new Date() }) } as const;
      },
    );
    await db
      .update(vms)
      .set({ ...released, error, readyAt: null })
      .where(and(eq(vms.id, vmId), inArray(vms.state, ['creating', 'starting', 'running'])));
    log.warn({ vmId, code: error.code, reason: error.message }, 'VM ended');
  }

  async function release(vmId: string, keepDisk: boolean): Promise<void> {
    await engine.stop(vmId, 0);
    if (!keepDisk) await engine.remove(vmId);
  }

  async function follow(vmId: string, entry: Followed): Promise<void> {
    const signal = AbortSignal.any([entry.stop.signal, deps.signal]);
    let revision = -1;
    try {
      for (;;) {
        const status = await engine.nextStatus(vmId, revision, signal);
        revision = status.revision;
        entry.last = status;
        await mirror(vmId, status);
        changes.emit(vmId);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof AppError)) throw error;
    }
    await conclude(vmId);
    followed.delete(vmId);
    changes.emit(vmId);
  }

  async function waitReady(
    vmId: string,
    signal: AbortSignal,
    onStatus: (status: RunnerStatus) => void,
  ): Promise<VmRow> {
    for (;;) {
      const changed = once(changes, vmId, { signal: AbortSignal.any([signal, deps.signal]) });
      changed.catch(() => undefined);
      const [row] = await db.select().from(vms).where(eq(vms.id, vmId));
      const last = followed.get(vmId)?.last;
      if (!row) throw new AppError('not_found', `There is no VM ${vmId}.`);
      if (endStates.includes(row.state)) throw endOf(row);
      if (last?.egress.lastError) throw AppError.fromBody(last.egress.lastError);
      if (row.state === 'running') return row;
      if (last) onStatus(last);
      await changed.catch(() => {
        signal.throwIfAborted();
        throw new AppError('aborted', `Waiting for VM ${vmId} was cancelled.`);
      });
    }
  }

  return {
    watch(vmId) {
      if (followed.has(vmId)) return;
      const entry: Followed = { stop: new AbortController(), done: Promise.resolve(), last: undefined };
      followed.set(vmId, entry);
      entry.done = follow(vmId, entry).catch((error: unknown) =>
        log.error({ err: error, vmId }, 'watching a VM failed'),
      );
    },
    forget(vmId) {
      followed.get(vmId)?.stop.abort();
      followed.delete(vmId);
      changes.emit(vmId);
    },
    waitReady,
    async close() {
      const all = [...followed.values()];
      for (const entry of all) entry.stop.abort();
      await Promise.all(all.map((entry) => entry.done));
    },
  };
}

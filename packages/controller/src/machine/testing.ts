/** For tests: an engine whose VMs are entries of a map; everything else of a machine is real. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import type { JsonClient } from '@airlock/contract/http-client';
import type { RunnerStatus } from '@airlock/contract/runner';
import type { Engine } from '../engine/engine.js';

export interface TestEngine extends Engine {
  /** What was done, in order: `start <vm>`, `stop <vm>`. */
  done: string[];
  /** VMs that run. */
  running: Set<string>;
  /** While set, starts, or stops, wait for it. */
  startGate: Promise<void> | undefined;
  stopGate: Promise<void> | undefined;
  /** The next start fails with this. */
  startError: AppError | undefined;
}

const identity = { pid: 1, startTicks: 1, bootId: 'test' };

function readyStatus(vmId: string, epoch: number): RunnerStatus {
  const now = Date.now();
  return {
    ...{ vmId, epoch, revision: 1, phase: 'ready', runner: identity, vmm: identity, error: null },
    ...{ startedAt: now, poweredOnAt: now, vncAt: null, agentAt: now, readyAt: now },
    egress: { connections: 0, refused: 0, bytesUp: 0, bytesDown: 0, lastError: null },
  };
}

/** `client`: what answers for every guest. */
export function createTestEngine(home: string, client: JsonClient): TestEngine {
  const statuses = new Map<string, RunnerStatus>();
  const ends = new Map<string, AbortController>();
  const folder = (vmId: string): string => join(home, 'vm', vmId);
  const gone = (): AppError => new AppError('runner_failed', 'The runner is gone.');
  const engine: TestEngine = {
    done: [],
    running: new Set(),
    startGate: undefined,
    stopGate: undefined,
    startError: undefined,
    folder,
    client: () => client,
    async prepare(vmId) {
      const path = vmId === undefined ? join(home, 'vm') : folder(vmId);
      await mkdir(path, { recursive: true });
      return path;
    },
    async start({ vmId, epoch }) {
      await engine.startGate;
      if (engine.startError) throw engine.startError;
      engine.done.push(`start ${vmId}`);
      engine.running.add(vmId);
      ends.set(vmId, new AbortController());
      statuses.set(vmId, readyStatus(vmId, epoch));
    },
    async status(vmId) {
      const status = statuses.get(vmId);
      return status && { status, alive: engine.running.has(vmId) };
    },
    nextStatus(vmId, after, signal) {
      const status = statuses.get(vmId);
      const end = ends.get(vmId);
      if (!status || !end || end.signal.aborted) return Promise.reject(gone());
      if (after < status.revision) return Promise.resolve(status);
      return new Promise((_resolve, reject) => {
        AbortSignal.any([signal, end.signal]).addEventListener('abort', () => reject(gone()));
      });
    },
    openDesktop: () => Promise.reject(gone()),
    async stop(vmId) {
      await engine.stopGate;
      if (engine.running.delete(vmId)) engine.done.push(`stop ${vmId}`);
      ends.get(vmId)?.abort();
    },
    remove: (vmId) => rm(folder(vmId), { recursive: true, force: true }),
    folders: async () => [],
    close: async () => undefined,
  };
  return engine;
}

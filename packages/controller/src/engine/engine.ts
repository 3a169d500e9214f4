/** Where runners are started. `local` spawns them on this host; a fleet's scheduler can be another engine. */
import type { BulkSocket } from '@airlock/contract/bulk-socket';
import type { JsonClient } from '@airlock/contract/http-client';
import type { RunnerSecrets, RunnerStatus, VmSpec } from '@airlock/contract/runner';

export interface Engine {
  /** The VM's folder; exists from `prepare` to `remove`, keeps its logs after. */
  folder(vmId: string): string;
  /** Makes the VM's folder (0700), or without an id only the folder of all VMs; answers its path. */
  prepare(vmId?: string): Promise<string>;
  /**
   * Makes the place for its secrets, writes the spec, starts the runner and resolves once it answers.
   * @throws AppError host_unsupported, runner_failed, runner_claim_refused
   */
  start(spec: Omit<VmSpec, 'secretFolder'>, secrets: RunnerSecrets): Promise<void>;
  /**
   * The runner's status: asked from the living runner (one that has only just been spawned is waited for), else its last word in
   * status.json with `alive: false`, else undefined.
   */
  status(vmId: string): Promise<{ status: RunnerStatus; alive: boolean } | undefined>;
  /** Resolves with the first status newer than `after`. @throws AppError runner_failed when the runner is gone */
  nextStatus(vmId: string, after: number, signal: AbortSignal): Promise<RunnerStatus>;
  /** Client for `/guest/...` and the other calls of the runner. */
  client(vmId: string): JsonClient;
  openDesktop(vmId: string): Promise<BulkSocket>;
  /** Asks the runner to stop and waits for its end; whatever then still runs of this VM is killed. Idempotent. */
  stop(vmId: string, graceMs: number): Promise<void>;
  /** Removes disk, sockets and config drive; logs and spec stay. Only after `stop`. Idempotent. */
  remove(vmId: string): Promise<void>;
  /** Ids of all VM folders on this host that still hold a disk, a socket or a runner. */
  folders(): Promise<string[]>;
  close(): Promise<void>;
}

/**
 * Where VMs run. `local` starts a runner on this host; a fleet's scheduler can be another engine. VMs, disks and images are
 * named by ids: no path, no folder and no fact of a host crosses this face.
 */
import type { BulkSocket } from '@airlock/contract/bulk-socket';
import type { HostCapacity } from '@airlock/contract/capacity';
import type { JsonClient } from '@airlock/contract/http-client';
import type { AssignRequest, RunnerSecrets, RunnerStatus, VmRoot, VmSettings, VmSpec } from '@airlock/contract/runner';

/** One start of a VM, as its controller wants it. */
export interface VmPlan extends Pick<
  VmSpec,
  | 'vmId'
  | 'kind'
  | 'epoch'
  | 'driver'
  | 'accel'
  | 'cpus'
  | 'memoryMib'
  | 'bootTimeoutMs'
  | 'bootBoundMs'
  | 'directHosts'
  | 'allowedPrivateHosts'
> {
  imageId: string;
  /** User and group of its VMM; null: its host gives none. */
  vmUser: number | null;
  /** Number of a CLI VM's root. Null: it boots from the image. */
  root: number | null;
  /** Nobody has it yet: see `VmSpec.waits`. */
  waits: boolean;
  /** Others on the host come first. */
  low: boolean;
}

/** A part of a disk that is not zeros. Parts come in order and do not overlap. */
export interface Extent {
  /** Bytes before it. */
  at: number;
  bytes: Uint8Array;
}

/** The disk of a home. Its parts can be read once; whoever leaves them early ends the reading. */
export interface HomeContent {
  sizeBytes: number;
  extents: AsyncIterable<Extent>;
}

export interface Engine {
  /** What there is for VMs, and what those that there are were promised and have taken. */
  capacity(): Promise<HostCapacity>;
  /**
   * Makes a root for the VM: a full copy of the image's disk, never a copy-on-write layer. It is there when it is whole, or not at
   * all; one that is there stays as it is. `low`: others on the host come first.
   * @throws AppError disk_full, image_missing, image_corrupt, or the signal's reason
   */
  createRoot(vmId: string, root: VmRoot, options: { low: boolean; signal: AbortSignal }): Promise<void>;
  /** Removes the VM's roots but those with these numbers, also what is left of half ones. */
  keepRoots(vmId: string, numbers: readonly number[]): Promise<void>;
  /** Makes an empty home of `gib` GiB for the VM, or leaves the one that is there. @throws AppError disk_full, or the signal's reason */
  createHome(vmId: string, gib: number, signal: AbortSignal): Promise<void>;
  /**
   * Makes the home of a VM that stands still `gib` GiB large, or leaves it as it is when it is as large: none ever shrinks. The guest
   * takes the room at its next start. @throws AppError home_unusable when it is not there
   */
  growHome(vmId: string, gib: number): Promise<void>;
  /**
   * The home of a VM that stands still, and how much of the host's disk it has taken.
   * @throws AppError home_unusable when it is not there
   */
  readHome(vmId: string): Promise<HomeContent & { takenBytes: number }>;
  /**
   * Takes the content of a home for a VM that has none yet. It is half a disk, which no start finds, until `keep`.
   * @throws AppError disk_full, the signal's reason, or what the parts end with: nothing is left of it
   */
  receiveHome(vmId: string, home: HomeContent, signal: AbortSignal): Promise<{ keep(): Promise<void> }>;
  /** Removes what is there of VMs that are not `known` and whose home was received, and not kept. Not while one is; answers their ids. */
  dropReceived(known: ReadonlySet<string>): Promise<string[]>;
  /**
   * Starts the runner and resolves once it answers.
   * @throws AppError image_missing, image_corrupt, home_unusable, runner_failed, runner_claim_refused
   */
  start(plan: VmPlan, secrets: RunnerSecrets): Promise<void>;
  /**
   * Puts settings into force in a running VM, and resolves once its agent has said so; false when they were already.
   * @throws AppError vm_not_running; runner_failed, also when the runner comes from a version that does not take these;
   * config_invalid; guest_unreachable; guest_refused, or the agent's own error
   */
  configure(vmId: string, settings: VmSettings, signal: AbortSignal): Promise<boolean>;
  /**
   * Gives a VM that waits to a session, and resolves once it is the session's. Once.
   * @throws AppError vm_not_waiting; otherwise what the VM ends with now; runner_failed when the runner is gone
   */
  assign(vmId: string, request: AssignRequest, signal: AbortSignal): Promise<void>;
  /**
   * The runner's status: asked from the living runner (one that has only just been spawned is waited for), else its last word
   * with `alive: false`, else undefined.
   */
  status(vmId: string): Promise<{ status: RunnerStatus; alive: boolean } | undefined>;
  /**
   * Resolves with the first status newer than `after`.
   * @throws AppError when the runner is gone, and also when the call was lost on its way: `status` tells which
   */
  nextStatus(vmId: string, after: number, signal: AbortSignal): Promise<RunnerStatus>;
  /** Client for `/guest/...` and the other calls of the runner. */
  client(vmId: string): JsonClient;
  /** @throws AppError desktop_not_ready, vm_not_running, the runner's own refusal */
  openDesktop(vmId: string): Promise<BulkSocket>;
  /** Asks the runner to stop and waits for its end; whatever then still runs of this VM is killed. Idempotent. */
  stop(vmId: string, graceMs: number): Promise<void>;
  /** Removes disks, sockets and config drive; logs stay. Only after `stop`. Idempotent. */
  remove(vmId: string): Promise<void>;
  /** Where something other than logs lies of VMs that are not `known`, in words for a person. */
  lost(known: ReadonlySet<string>): Promise<string[]>;
  /**
   * Removes what `remove` keeps of VMs that are not `known` and came to their end before `before`; answers their ids. What holds
   * anything but logs is left alone: see `lost`.
   */
  prune(known: ReadonlySet<string>, before: Date): Promise<string[]>;
  close(): Promise<void>;
}

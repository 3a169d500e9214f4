/** The face of the vm folder: what sessions, desktop and http may ask of VMs. */
import type { Noted } from '../audit/audit.js';
import type { Readable } from 'node:stream';
import type { Vm, VmUpdateKind } from '@airlock/contract/api';
import type { BulkSocket } from '@airlock/contract/bulk-socket';
import type { CheckName, CheckResult, GuestHealth } from '@airlock/contract/guest';
import type { RunnerStatus } from '@airlock/contract/runner';
import { AppError } from '@airlock/contract/errors';
import type { JsonClient } from '@airlock/contract/http-client';
import type { vms } from './table.js';

export type VmRow = typeof vms.$inferSelect;

/** Whose VM it is. @throws AppError internal: every CLI VM is somebody's, and every VM that a person asks about */
export function ownerOf({ id, userId }: Pick<VmRow, 'id' | 'userId'>): string {
  if (userId !== null) return userId;
  throw new AppError('internal', `VM ${id} is nobody's.`);
}

/** How a guard gets at the VM that it is asked about. */
export interface Reach {
  vms: Pick<Vms, 'guest' | 'get' | 'runCheck'>;
  /** Ends with the controller. */
  signal: AbortSignal;
}

/** What must be done around the life of a CLI VM, whoever starts or ends it. */
export interface CliGuard {
  /** Just before it is powered on, when nothing speaks against its start any more. */
  starting(row: VmRow): Promise<void>;
  /** It is ready, and nothing else has been done in it yet; also each time somebody asks for a running one. */
  ready(row: VmRow, reach: Reach): Promise<void>;
  /**
   * It runs from a new root, and `ready` has been called: every login that was good must still be accepted by its CLI.
   * @throws AppError proof_failed; vm_not_running, guest_unreachable and the like when that could not be found out
   */
  proved(row: VmRow, reach: Reach): Promise<void>;
  /** It runs and is about to be stopped or destroyed. Never rejects. */
  ending(row: VmRow, reach: Reach): Promise<void>;
}

/** For whom a VM is that nobody has. */
export interface Claim {
  userId: string;
  sessionId: string;
}

/** A browser VM that nobody has, on its way or waiting; `fits`: one that is made now would be the same. */
export interface WaitingVm {
  row: VmRow;
  fits: boolean;
}

export interface CliUse {
  vm: VmRow;
  /** Fires when the VM does not run any more, with an AppError that says why. */
  ended: AbortSignal;
  release(): Promise<void>;
}

/** The image that is current, and what is different in it. */
export type Behind = NonNullable<Vm['behind']>;

export interface BackupRequest {
  passphrase: string;
  /** Ends what uses the VM. */
  now: boolean;
  /** The name of its user, which the backup keeps. */
  user: string;
}

export interface RestoreRequest {
  passphrase: string;
  /** The CLI VM that the user has is destroyed. */
  replace: boolean;
  /** The id of the user whose VM it becomes, by the name that the backup has. @throws AppError */
  ownerOf(user: string): Promise<string>;
}

export interface Vms {
  /**
   * Whether a sign-in of this user can be carried through: image, memory, and disk space for a CLI VM that does not exist yet.
   * Asked before anything is made, so that nobody signs in for nothing.
   * @throws AppError image_missing, image_corrupt, capacity_exhausted, disk_full
   */
  requireCapacity(userId: string, needs: { browser: boolean }): Promise<void>;
  /**
   * Makes and starts a browser VM; answers as soon as its row exists. For a session it takes room for the user's CLI VM along, so
   * that nobody signs in for nothing. `destroyAt`: when it goes by itself (null: its session decides).
   * @throws AppError image_missing, image_corrupt, capacity_exhausted
   */
  createBrowser(
    request: { userId: string; sessionId: string | null; destroyAt: Date | null },
    noted?: Noted<VmRow>,
  ): Promise<VmRow>;
  /** Makes and starts a browser VM that nobody has. @throws AppError as `createBrowser`; shutting_down after `stopAll` */
  createWaiting(): Promise<VmRow>;
  /** All of them, the oldest first. @throws AppError image_missing, image_corrupt, image_too_old where there are some */
  waiting(): Promise<WaitingVm[]>;
  /**
   * Gives one to a sign-in; its row says so before anything is done. Undefined when it does not wait, or another sign-in was faster.
   * @throws AppError quota_exceeded, capacity_exhausted, disk_full: it waits on; otherwise why it has failed
   */
  assign(vmId: string, claim: Claim): Promise<VmRow | undefined>;
  /** Ends one for good; false when a sign-in has it. */
  dropWaiting(vmId: string): Promise<boolean>;
  /**
   * The user's CLI VM, running and ready: found, started or created with a full copy of the image's disk. `sessionId` is
   * noted on one that this call creates. `onProgress` gets one short sentence now and then.
   */
  ensureCli(
    userId: string,
    sessionId: string | null,
    onProgress: (text: string) => void,
    signal: AbortSignal,
  ): Promise<VmRow>;
  /** The user's CLI VM, whatever it is doing; undefined when there is none. */
  cliOf(userId: string): Promise<VmRow | undefined>;
  /**
   * The user's CLI VM, running and ready: started when it stands still, never made. It is not stopped as idle until `release`.
   * @throws AppError not_found when there is none, whatever its start failed with, or aborted
   */
  useCli(userId: string, onProgress: (text: string) => void, signal: AbortSignal): Promise<CliUse>;
  /** How many uses of the user's CLI VM are under way, or wait for its start. */
  usesOf(userId: string): number;
  /**
   * Powers a CLI VM off by hand, whatever uses it, after a last look of the guard; its disks stay, and its next use starts it.
   * Resolves when that is done, at once where it stands still. Of calls to `stop`, `start` and `restart`, the last one holds.
   * @throws AppError not_found, invalid_request for a browser VM, vm_not_running for one that is being made or has come to its end,
   * and what the stop broke off with, which is then done again by the sweep
   */
  stop(vmId: string): Promise<VmRow>;
  /**
   * Starts a CLI VM by hand as a use would. Resolves when it is on its way, at once where it is up or coming: `waitReady`, and its
   * row, tell how that goes on.
   * @throws AppError not_found, invalid_request for a browser VM, vm_not_running for one that has come to its end, and why it may
   * not start: image_missing, capacity_exhausted, disk_full, home_key_lost, …
   */
  start(vmId: string): Promise<VmRow>;
  /** `stop` and then `start`, with nothing in between; resolves and throws as these two. */
  restart(vmId: string): Promise<VmRow>;
  /**
   * Asks for another root under the same home of a CLI VM: of the current image, unless it has that, or (reset) a fresh one in any
   * case. Answers when that is written down; it is done one VM after the other, and once nobody uses the VM, or (`now`) whatever uses
   * it. The VM's row tells how it goes: `rootUpdate`, null at its good end. The old root comes back when the new one fails.
   * @throws AppError not_found, invalid_request for a browser VM, vm_not_running for one that is being made or has come to its end,
   * image_missing, image_corrupt, image_too_old
   */
  update(vmId: string, request: { kind: VmUpdateKind; now: boolean }): Promise<VmRow>;
  /** `update` of every CLI VM that does not have the current image; answers which. @throws AppError as `update`, of the image */
  updateAll(noted: Noted<VmRow>): Promise<VmRow[]>;
  /**
   * What those of these VMs that are behind would get by an update, by their ids; of none while no image is current. A list is asked
   * for at once: many VMs have the same few images.
   */
  behind(rows: readonly VmRow[]): Promise<ReadonlyMap<string, Behind>>;
  /**
   * The home of a CLI VM with its key, sealed under a passphrase: the bytes of a file, as they are read. The VM is stopped before, after
   * a last look of the guard; nothing starts it until the stream has ended, was destroyed, or has not been read for a minute. Then it is
   * started again, if it ran. One that breaks off ends with an error.
   * @throws AppError not_found, invalid_request for a browser VM, vm_not_running for one that is being made or has come to its end,
   * vm_in_use, home_key_lost, home_unusable
   */
  backup(vmId: string, request: BackupRequest): Promise<Readable>;
  /**
   * A new CLI VM, standing still, with the home of a backup and a fresh root. Nothing changes before all of `file` was read.
   * @throws AppError backup_invalid, vm_exists unless `replace`, invalid_request for a home that is too large, disk_full, image_missing,
   * image_corrupt, image_too_old, what `ownerOf` throws, and what `file` ends with
   */
  restore(file: AsyncIterable<Uint8Array>, request: RestoreRequest): Promise<VmRow>;
  /** Resolves when the VM is ready. @throws AppError the VM's own failure, an upstream failure, or aborted */
  waitReady(vmId: string, onStatus: (status: RunnerStatus) => void, signal: AbortSignal): Promise<VmRow>;
  get(vmId: string): Promise<VmRow | undefined>;
  /** All VMs of a user, or of everybody with null; failed and destroyed ones only of the last hour. */
  list(userId: string | null): Promise<VmRow[]>;
  /** Calls the agent in the VM; paths as in contract/guest.ts. @throws AppError vm_not_running */
  guest(vmId: string): Promise<JsonClient>;
  /** What the agent in the VM understands, by the manifest of its image; the least where that is gone. */
  protocolOf(vm: Pick<VmRow, 'imageId'>): Promise<number>;
  /**
   * The same, of a browser VM, for the routes below /desktop, the login's terminal and the method `callback`.
   * @throws AppError desktop_not_ready for a CLI VM, vm_not_running, image_too_old when its agent does not know them
   */
  desktopGuest(vmId: string): Promise<JsonClient>;
  health(vmId: string): Promise<GuestHealth>;
  /** Runs a named check in the VM; a use of it until it answers. @throws AppError not_found, vm_not_running */
  runCheck(vmId: string, name: CheckName): Promise<CheckResult>;
  /** The VM's desktop as an RFB byte stream with security type None. @throws AppError desktop_not_ready, vm_not_running */
  openDesktop(vmId: string): Promise<BulkSocket>;
  /** Sets when the sweeper destroys the VM. */
  scheduleDestroy(vmId: string, at: Date): Promise<void>;
  /** Ends the VM and removes everything of it but its logs; its row stays as `destroyed`. Idempotent. */
  destroy(vmId: string): Promise<void>;
  /** Ends every VM: browser VMs are destroyed, CLI VMs stopped with their disk kept. */
  stopAll(): Promise<void>;
  /** Ends every VM of this user: browser VMs are destroyed, CLI VMs stopped with their disk kept. */
  stopAllOf(userId: string): Promise<void>;
  /** Destroys every VM of this user, and removes their records. Idempotent. */
  removeAllOf(userId: string): Promise<void>;
  /** At start: adopts VMs whose runner lives, releases what is left of the others. Resolves when every row tells the truth. */
  reconcile(): Promise<void>;
  /** Folders below $AIRLOCK_HOME/vm that no row explains. */
  lostFolders(): Promise<string[]>;
  /** Stops watching and sweeping; leaves VMs alone. */
  close(): Promise<void>;
}

/**
 * The face of the credential folder: where the live copy of each credential is. The disk of the CLI VM that was given one holds
 * the live copy; the vault follows it. Nothing here ever logs anybody out: a copy is only ever removed.
 */
import type { Noted } from '../audit/audit.js';
import type { CredentialSummary, RemoveCredentialResponse } from '@airlock/contract/api';
import type { ProviderId } from '@airlock/contract/provider/provider';
import type { Owner } from '../vault/vault.js';

export interface Custodian {
  /**
   * Brings vault and CLI VM together: what a CLI has refreshed goes into the vault as the next generation; what the VM should
   * hold and does not is delivered; what it should not hold any more is removed. Also right after a prompt.
   * @throws AppError vm_not_running, guest_unreachable, …: nothing is lost, the next look does it
   */
  sync(vmId: string): Promise<SyncReport[]>;
  /** `sync` for every running CLI VM, none waiting for another. What could not be read of one is told of its credentials. */
  syncAll(): Promise<void>;
  /** Gives the CLI VM the staged credential of this lineage, once what it held before is in the vault. Ends with `signal`. */
  deliver(vmId: string, staged: Owner & { lineage: number }, signal: AbortSignal): Promise<void>;
  /**
   * After the hand-over: takes the login out of the browser VM, so that there is one live holder. A browser VM in which that
   * cannot be done is destroyed.
   */
  retire(browserVmId: string, provider: ProviderId): Promise<void>;
  list(userId: string): Promise<CredentialSummary[]>;
  /** How many active credentials are in a VM that ended without a last look, or cannot be looked into: the vault may be behind them. */
  unconfirmed(): Promise<number>;
  /** Asks the CLI in the CLI VM, which is started when it is stopped. @throws AppError not_found */
  check(owner: Owner): Promise<CredentialSummary>;
  /** Called as a prompt begins: the answer is to be told of its end. */
  listen(owner: Owner): Promise<PromptEnd>;
  /** @throws AppError not_found */
  remove(owner: Owner, noted?: Noted<Owner>): Promise<RemoveCredentialResponse>;
  /**
   * Stages an API key and sees to its proof in the background, also across a restart; answers its lineage.
   * @throws AppError provider_unavailable, invalid_request (never with the key in it)
   */
  setApiKey(owner: Owner, key: string): Promise<{ lineage: number }>;
  /** At start: goes on where the last controller was ended, and begins to look into running CLI VMs. */
  resume(): Promise<void>;
  close(): Promise<void>;
}

/** Notes what the end of a prompt says of its login: why the CLI gave up, or null for a whole answer. */
export type PromptEnd = (failure: string | null) => Promise<void>;

/** What `sync` did with one credential. conflict: what the VM holds was not stored: it had changed a copy that is no longer the newest, or holds no credential. */
export interface SyncReport {
  provider: ProviderId;
  result: 'unchanged' | 'stored' | 'delivered' | 'removed' | 'conflict' | 'missing';
}

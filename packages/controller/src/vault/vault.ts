/**
 * The face of the vault folder: sealed credentials, in two phases (stage, then commit once proved), and who holds each.
 * Each stored version is a generation. The lineage is the generation that `stage` gave: it names the login for good, whatever its CLI
 * makes of it by refreshing.
 */
import type { RestoreResponse, VaultStatus } from '@airlock/contract/api';
import type { Noted } from '../audit/audit.js';
import type { CredentialBundle } from '@airlock/contract/guest';
import type { ProviderId } from '@airlock/contract/provider/provider';
import type { KeyProofs } from './proof.js';
import type { credentials, custody } from './table.js';

export type CredentialRow = typeof credentials.$inferSelect;
export type CustodyRow = typeof custody.$inferSelect;

export type CustodyNote = Partial<Omit<CustodyRow, 'userId' | 'provider' | 'lastGeneration'>>;

export interface Owner {
  userId: string;
  provider: ProviderId;
}

export interface NewCredential extends Owner {
  /** Null for an API key. */
  sessionId: string | null;
  method?: 'login' | 'api_key';
}

export interface StagedCredential {
  /** As `stage` gave it. */
  lineage: number;
  bundle: CredentialBundle;
}

export interface Vault {
  /** Seals the bundle as the next generation, state staged; what the same session (or the last API key) staged is replaced. */
  stage(owner: NewCredential, bundle: CredentialBundle): Promise<{ lineage: number }>;
  /** The staged credential of this session, opened, or undefined. @throws AppError vault_key_invalid */
  staged(sessionId: string): Promise<StagedCredential | undefined>;
  /** The active credential of this user at this provider, opened, or undefined. @throws AppError vault_key_invalid */
  active(userId: string, provider: ProviderId): Promise<StagedCredential | undefined>;
  /** Whether what this session staged has become the active credential. */
  isCommitted(sessionId: string): Promise<boolean>;
  /**
   * Makes the staged one of this lineage, which its CLI has just accepted, the active one and removes the others. A second call
   * changes nothing.
   * @throws AppError vault_conflict when a later sign-in is active, or it is no longer in the vault
   */
  commit(userId: string, provider: ProviderId, lineage: number): Promise<void>;
  /** Removes what this session staged and did not commit. */
  discard(sessionId: string): Promise<void>;
  /** The same for a staged API key, by its lineage. */
  discardKey(owner: Owner, lineage: number): Promise<void>;
  /**
   * What a CLI made of the generation `from` that the VM holds, stored as the next one. Of it, as of all that is staged, restored or
   * read, only what `judgeBundle` keeps.
   * @throws AppError vault_conflict when the VM no longer holds the newest: the vault is left as it is
   */
  writeBack(owner: Owner, vmId: string, from: number, bundle: CredentialBundle): Promise<number>;
  /** Removes every form of it, and uses a number up so that nobody who still has it can write it back. False: there was none. */
  remove(owner: Owner, noted?: Noted<Owner>): Promise<boolean>;
  /** Removes everything of this user but the keys of homes, which go with their VMs. Idempotent. */
  forget(userId: string): Promise<void>;
  /** Rows of a user, or of everybody with null, newest generation first. */
  list(userId: string | null): Promise<CredentialRow[]>;
  /** Staged API keys that nobody has committed: an attempt under way, or one that a crash cut short. */
  stagedKeys(): Promise<CredentialRow[]>;
  read(row: CredentialRow): Promise<CredentialBundle>;
  /** Who holds what: of a user, or of everybody with null. */
  custody(userId: string | null): Promise<CustodyRow[]>;
  /** Notes something about a credential's holder or health. */
  note(owner: Owner, values: CustodyNote): Promise<void>;
  /** Makes the key of the home of this VM, which has none yet; or seals the one that came with its home. */
  sealHomeKey(vmId: string, key?: string): Promise<void>;
  /** @throws AppError home_key_lost when it is not there, or does not open */
  openHomeKey(vmId: string): Promise<string>;
  /** Without its key, what a copy of the disk may still hold cannot be read. Idempotent. */
  dropHomeKey(vmId: string): Promise<void>;
  /** Everything that is sealed, under a passphrase. */
  backup(passphrase: string): Promise<Backup>;
  /** `homes`: VMs that have a home now; the key of another one is not brought back. Each entry is judged by itself. @throws AppError backup_invalid */
  restore(
    passphrase: string,
    backup: string,
    homes: ReadonlySet<string>,
    noted?: Noted<Owner>,
  ): Promise<RestoredEntry[]>;
  /** What keeps backups from whoever cannot read the vault key. */
  keyProofs: KeyProofs;
  status(): Promise<VaultStatus>;
  /** Seals everything again under a new key and retires the old one; goes on where a crash cut an earlier one short. */
  rotate(): Promise<VaultStatus>;
}

/** `backup` is the JWE. */
export interface Backup {
  backup: string;
  credentials: number;
  homeKeys: number;
}

export interface RestoredEntry {
  /** `<user>/<provider>`, or the id of a VM. */
  name: string;
  result: RestoreResult;
  /** Why it was left out, without a value of it; null otherwise. */
  reason: string | null;
}

export type RestoreResult = RestoreResponse['entries'][number]['result'];

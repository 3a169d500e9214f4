/** The face of the vault folder: sealed credentials, in two phases (stage, then commit once proved). */
import type { CredentialBundle } from '@airlock/contract/guest';
import type { CredentialSummary } from '@airlock/contract/api';
import type { ProviderId } from '@airlock/contract/provider/provider';

export interface StagedCredential {
  generation: number;
  bundle: CredentialBundle;
}

export interface Vault {
  /** Seals the bundle as the next generation, state staged; a staged one of the same session is replaced. */
  stage(
    owner: { userId: string; provider: ProviderId; sessionId: string },
    bundle: CredentialBundle,
  ): Promise<{ generation: number }>;
  /** The staged credential of this session, opened, or undefined. @throws AppError vault_key_invalid */
  staged(sessionId: string): Promise<StagedCredential | undefined>;
  /** Makes the staged generation the active one and removes older ones. @throws AppError vault_conflict */
  commit(userId: string, provider: ProviderId, generation: number): Promise<void>;
  /** Removes what this session staged and did not commit. */
  discard(sessionId: string): Promise<void>;
  list(userId: string): Promise<CredentialSummary[]>;
  /** Seals any small secret for a named purpose, such as the key of a VM's disk. */
  seal(purpose: string, secret: string): Promise<string>;
  /** @throws AppError vault_key_invalid when the key or the purpose is not the one it was sealed with */
  open(purpose: string, sealed: string): Promise<string>;
}

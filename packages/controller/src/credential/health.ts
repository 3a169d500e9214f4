/** How well a credential is, from the CLI's own word and from what its files say of their end. Pure. */
import type { CredentialHealth } from '@airlock/contract/api';
import type { CredentialBundle } from '@airlock/contract/guest';
import type { CredentialExpiry } from '@airlock/contract/provider/facts';
import { providers } from '@airlock/contract/provider/registry';

export interface Finding {
  health: CredentialHealth;
  /** One sentence, without anything secret. */
  healthReason: string;
}

/** A login that cannot renew itself and ends within this time, in ms, is expiring. */
const soonMs = 3 * 86_400_000;
/** What CLIs and providers say of a grant that was taken back. */
const takenBack =
  /\brevoked\b|invalid_grant|token_invalidated|refresh token (?:was|has been|is)? ?(?:already )?(?:used|reused|invalid)/i;

/** What the files of a bundle say of their own end; null where they say nothing. */
export function expiryOf(bundle: CredentialBundle): CredentialExpiry | null {
  const texts = new Map(
    bundle.files.map(({ path, contentBase64 }) => [path, Buffer.from(contentBase64, 'base64').toString('utf8')]),
  );
  return providers[bundle.provider].login?.expiry?.(texts) ?? null;
}

/** By the files alone: undefined when they give no reason to think otherwise. `now`: Unix epoch milliseconds. */
export function findingByExpiry(expiry: CredentialExpiry | null, now: number): Finding | undefined {
  if (!expiry || expiry.renewable) return undefined;
  if (expiry.expiresAt <= now)
    return { health: 'needs_login', healthReason: 'It has expired and cannot renew itself.' };
  if (expiry.expiresAt - now < soonMs)
    return { health: 'expiring', healthReason: 'It expires soon and cannot renew itself.' };
  return undefined;
}

/** By the CLI's word first, then by the files. */
export function findingOf(
  proof: { ok: boolean; exitCode: number | null; output: string },
  expiry: CredentialExpiry | null,
  now: number,
): Finding {
  if (proof.ok) return findingByExpiry(expiry, now) ?? { health: 'valid', healthReason: 'The CLI accepts it.' };
  if (takenBack.test(proof.output))
    return { health: 'revoked', healthReason: 'The CLI says that the provider has taken it back.' };
  if (proof.exitCode === null)
    return { health: 'unknown', healthReason: 'The check could not be carried out: the CLI did not end by itself.' };
  return { health: 'needs_login', healthReason: `The CLI does not accept it (exit code ${proof.exitCode}).` };
}

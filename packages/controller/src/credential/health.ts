/** How well a credential is, from the CLI's own word and from what its files say of their end. Pure. */
import type { CredentialHealth } from '@airlock/contract/api';
import { AppError, type ErrorBody } from '@airlock/contract/errors';
import type { CheckResult, CredentialBundle } from '@airlock/contract/guest';
import type { CredentialExpiry, Refusal } from '@airlock/contract/provider/facts';
import type { Provider } from '@airlock/contract/provider/provider';
import { refusalIn } from '@airlock/contract/provider/refusal';
import { providers } from '@airlock/contract/provider/registry';
import { latestMs } from '@airlock/contract/received';

export interface Finding {
  health: CredentialHealth;
  /** One sentence, without anything secret. */
  healthReason: string;
}

/** A login that cannot renew itself and ends within this time, in ms, is expiring. */
const soonMs = 3 * 86_400_000;
/** How TLS libraries say that they do not trust whoever answered: the provider has not seen the login then. */
const untrusted =
  /self[- ]signed certificate|unable to (?:get (?:local )?issuer|verify the first) certificate|invalid peer certificate|certificate verify failed|\b(?:UNABLE_TO_(?:GET_ISSUER|VERIFY)|SELF_SIGNED_CERT|DEPTH_ZERO_SELF_SIGNED)/i;
const untrustedReason =
  'The CLI does not trust the certificate that it was shown as the provider’s; a proxy that ends TLS may stand before it.';

/** What the files of a bundle say of their own end; null where they say nothing. */
export function expiryOf(bundle: CredentialBundle): CredentialExpiry | null {
  const texts = new Map(
    bundle.files.map(({ path, contentBase64 }) => [path, Buffer.from(contentBase64, 'base64').toString('utf8')]),
  );
  const found = providers[bundle.provider].login?.expiry?.(texts) ?? null;
  // Whatever the files say: a row takes no time beyond.
  return found && { ...found, expiresAt: Math.min(found.expiresAt, latestMs) };
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

/** By the CLI's word first, then by the files. `refusal`: what is known of that word. */
export function findingOf(
  proof: Pick<CheckResult, 'ok' | 'exitCode' | 'output'>,
  expiry: CredentialExpiry | null,
  now: number,
  refusal?: Pick<Refusal, 'reason' | 'takenBack'>,
): Finding {
  if (proof.ok) return findingByExpiry(expiry, now) ?? { health: 'valid', healthReason: 'The CLI accepts it.' };
  if (refusal?.takenBack) return { health: 'revoked', healthReason: refusal.reason };
  if (untrusted.test(proof.output)) return { health: 'unknown', healthReason: untrustedReason };
  if (proof.exitCode === null)
    return { health: 'unknown', healthReason: 'The check could not be carried out: the CLI did not end by itself.' };
  const healthReason = refusal?.reason ?? `The CLI does not accept it (exit code ${proof.exitCode}).`;
  return { health: 'needs_login', healthReason };
}

/** Begins the reason of a finding that a prompt has made: the provider's own answer. */
const atPrompt = 'At a prompt: ';

/** What the end of a prompt says of its login: `failure` is why the CLI gave up, null for a whole answer. undefined: nothing. */
export function findingOfPrompt(
  { login }: Pick<Provider, 'login'>,
  failure: string | null,
  expiry: CredentialExpiry | null,
  now: number,
): Finding | undefined {
  if (failure === null) return findingOf({ ok: true, exitCode: 0, output: '' }, expiry, now);
  const refusal = refusalIn(login, failure);
  if (!refusal || refusal.ofUse) return undefined;
  return { health: refusal.takenBack ? 'revoked' : 'needs_login', healthReason: `${atPrompt}${refusal.reason}` };
}

/** Whether a proof's yes, which may be of the files alone, says less than what a prompt has shown of this login before. */
export const isOutweighed = (
  { ok }: Pick<CheckResult, 'ok'>,
  known: Pick<Finding, 'healthReason'> | undefined,
): boolean => ok && known?.healthReason.startsWith(atPrompt) === true;

/** Why a provider's CLI did not prove `what` ("the API key"), for a person; `hint` for when it was looked at and refused. */
export function proofError(
  { name, login }: Pick<Provider, 'name' | 'login'>,
  what: string,
  { exitCode, output }: Pick<CheckResult, 'exitCode' | 'output'>,
  hint: string,
): AppError {
  const details = { output };
  const cli = name.endsWith(' CLI') ? name : `${name} CLI`;
  if (untrusted.test(output)) {
    return new AppError('proof_failed', `The ${cli} in the CLI VM could not try ${what}. ${untrustedReason}`, {
      hint: 'Name the file with its authority in AIRLOCK_EXTRA_CA and restart the controller; running CLI VMs take it then.',
      details,
    });
  }
  const refusal = refusalIn(login, output);
  if (refusal?.asks !== undefined)
    return new AppError('setting_needed', refusal.reason, {
      hint: refusal.hint,
      details: { ...details, setting: refusal.asks },
    });
  if (refusal) return new AppError('proof_failed', refusal.reason, { hint: refusal.hint, details });
  const found = `exit code ${exitCode ?? 'none'}`;
  return new AppError('proof_failed', `The ${cli} in the CLI VM does not accept ${what} (${found}).`, {
    hint,
    details,
  });
}

/** Why a prompt has no whole answer, as its agent tells it; where that is known, in a sentence with what to do, and the CLI's words below. */
export function promptError({ login }: Pick<Provider, 'login'>, error: ErrorBody): ErrorBody {
  const words = wordsOf(error);
  const refusal = error.code === 'prompt_failed' ? refusalIn(login, words) : undefined;
  if (!refusal) return error;
  const { reason, hint } = refusal;
  return new AppError('prompt_failed', reason, { hint, details: { lastOutput: words } }).toBody();
}

/** All that the CLI said of a failure. */
export function wordsOf({ message, details }: ErrorBody): string {
  const output = details?.['lastOutput'];
  return typeof output === 'string' ? `${message}\n${output}` : message;
}

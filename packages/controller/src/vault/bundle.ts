/** What may be sealed as a credential. A bundle comes out of a VM, which may have been taken over. */
import { AppError } from '@airlock/contract/errors';
import type { CredentialBundle } from '@airlock/contract/guest';
import type { ProviderId } from '@airlock/contract/provider/provider';
import { providers } from '@airlock/contract/provider/registry';

/** @throws AppError credential_invalid for a bundle of another provider, or with files that its provider does not have */
export function assertOwnFiles(provider: ProviderId, bundle: CredentialBundle): void {
  const known = providers[provider].login?.credentialFiles.map(({ path }) => path) ?? [];
  const paths = bundle.files.map(({ path }) => path);
  const others = paths.filter((path, at) => !known.includes(path) || paths.indexOf(path) !== at);
  if (bundle.provider === provider && others.length === 0) return;
  throw new AppError(
    'credential_invalid',
    `The VM handed out "${others.join('", "') || bundle.provider}" as the ${provider} credential; expected each at most once: ${known.join(', ')}.`,
  );
}

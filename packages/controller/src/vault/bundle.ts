/**
 * What of a bundle is sealed, and delivered. A bundle comes out of a VM, or of a backup's file, which somebody may have made up: only the
 * members that its provider's file declares stay, under the modes that it names.
 */
import { AppError } from '@airlock/contract/errors';
import type { CredentialBundle } from '@airlock/contract/guest';
import { keepDeclared } from '@airlock/contract/provider/credential-content';
import type { ProviderLogin } from '@airlock/contract/provider/facts';
import type { ProviderId } from '@airlock/contract/provider/provider';
import { providers } from '@airlock/contract/provider/registry';

export interface JudgedBundle {
  bundle: CredentialBundle;
  /** Names of what the bundle held besides, never a value. */
  leftOut: readonly string[];
}

/**
 * The declared part of a bundle; judging it once more changes nothing.
 * @throws AppError credential_invalid for a bundle of another provider, with files that its provider does not have or that are no
 * credential, or without all that a login needs
 */
export function judgeBundle(provider: ProviderId, bundle: CredentialBundle): JudgedBundle {
  const { login } = providers[provider];
  if (login === null) throw new AppError('credential_invalid', `${provider} has no credential yet.`);
  assertOwnFiles(provider, login, bundle);
  const texts = bundle.files.map(({ path, contentBase64 }): [string, string] => [
    path,
    Buffer.from(contentBase64, 'base64').toString('utf8'),
  ]);
  const { files, leftOut } = keepDeclared(login, new Map(texts));
  const verdict = login.inspectCredential(files);
  if (!verdict.complete) {
    const lacks = `The ${provider} credential is not complete: ${verdict.reason}.`;
    throw new AppError(
      'credential_invalid',
      leftOut.length === 0 ? lacks : `${lacks} Left out: ${leftOut.join(', ')}.`,
    );
  }
  const kept = login.credentialFiles.flatMap(({ path, mode }) => {
    const text = files.get(path);
    return text === undefined ? [] : [{ path, mode, contentBase64: Buffer.from(text).toString('base64') }];
  });
  return { bundle: { provider, files: kept }, leftOut };
}

function assertOwnFiles(provider: ProviderId, login: ProviderLogin, bundle: CredentialBundle): void {
  const known = login.credentialFiles.map(({ path }) => path);
  const paths = bundle.files.map(({ path }) => path);
  const others = paths.filter((path, at) => !known.includes(path) || paths.indexOf(path) !== at);
  if (bundle.provider === provider && others.length === 0) return;
  throw new AppError(
    'credential_invalid',
    `"${others.join('", "') || bundle.provider}" is none of the ${provider} credential; expected each at most once: ${known.join(', ')}.`,
  );
}

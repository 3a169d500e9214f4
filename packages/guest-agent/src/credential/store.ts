/** The credential of each provider as files in the home directory: taken out, put in, removed, judged. */
import { createHash } from 'node:crypto';
import { AppError } from '@airlock/contract/errors';
import type { CredentialBundle } from '@airlock/contract/guest';
import type { CredentialVerdict, ProviderId, ProviderLogin } from '@airlock/contract/provider/provider';
import { providers } from '@airlock/contract/provider/registry';
import type { UserIds } from '../processes.js';
import { readUserFile, removeUserFile, writeUserFile, type ReadFileResult } from './folder.js';

export interface CredentialStore {
  /** What the files say, and the files. */
  inspect(provider: ProviderId): Promise<{ verdict: CredentialVerdict; files: Map<string, ReadFileResult> }>;
  /** A value that changes with the content; null while the credential is not complete. */
  fingerprint(provider: ProviderId): Promise<string | null>;
  /** @throws AppError not_found while it is not complete. */
  read(provider: ProviderId): Promise<CredentialBundle>;
  /** @throws AppError invalid_request, or credential_invalid when the bundle would leave an incomplete credential. */
  write(bundle: CredentialBundle): Promise<void>;
  remove(provider: ProviderId): Promise<void>;
}

function loginOf(provider: ProviderId): ProviderLogin {
  const { login } = providers[provider];
  if (login) return login;
  throw new AppError('provider_unavailable', `The agent does not know the credential files of ${provider} yet.`);
}

/** The bundle's files by path, when they are files of this provider and make a complete credential. */
function checkedFiles(bundle: CredentialBundle, login: ProviderLogin): Map<string, ReadFileResult> {
  const known = login.credentialFiles.map((file) => file.path);
  const files = new Map<string, ReadFileResult>();
  for (const { path, mode, contentBase64 } of bundle.files) {
    if (!known.includes(path) || files.has(path)) {
      const allowed = known.join(', ');
      throw new AppError('invalid_request', `The bundle holds "${path}"; expected each at most once: ${allowed}.`);
    }
    files.set(path, { content: Buffer.from(contentBase64, 'base64'), mode });
  }
  const verdict = login.inspectCredential(textOf(files));
  if (verdict.complete) return files;
  throw new AppError('credential_invalid', `The bundle is not a complete credential: ${verdict.reason}.`);
}

const textOf = (files: ReadonlyMap<string, ReadFileResult>): Map<string, string> =>
  new Map(Array.from(files, ([path, file]) => [path, file.content.toString('utf8')]));

export function createCredentialStore(home: string, user: UserIds): CredentialStore {
  async function inspect(provider: ProviderId): ReturnType<CredentialStore['inspect']> {
    const login = loginOf(provider);
    const files = new Map<string, ReadFileResult>();
    for (const { path } of login.credentialFiles) {
      const file = await readUserFile(home, path);
      if (file) files.set(path, file);
    }
    return { verdict: login.inspectCredential(textOf(files)), files };
  }

  async function fingerprint(provider: ProviderId): Promise<string | null> {
    const { verdict, files } = await inspect(provider);
    if (!verdict.complete) return null;
    const hash = createHash('sha256');
    for (const { content } of files.values()) hash.update(`${content.length}:`).update(content);
    return hash.digest('hex');
  }

  async function read(provider: ProviderId): Promise<CredentialBundle> {
    const { verdict, files } = await inspect(provider);
    if (!verdict.complete) {
      throw new AppError('not_found', `There is no complete credential of ${provider} yet: ${verdict.reason}.`);
    }
    return {
      provider,
      files: Array.from(files, ([path, { content, mode }]) => ({
        path,
        mode,
        contentBase64: content.toString('base64'),
      })),
    };
  }

  return {
    inspect,
    fingerprint,
    read,
    write: async (bundle) => {
      for (const [path, file] of checkedFiles(bundle, loginOf(bundle.provider))) {
        await writeUserFile(home, path, file, user);
      }
    },
    remove: async (provider) => {
      for (const { path } of loginOf(provider).credentialFiles) await removeUserFile(home, path);
    },
  };
}

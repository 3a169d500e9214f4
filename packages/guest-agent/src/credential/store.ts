/** The credential of each provider as files in the home folder: taken out, put in, removed, judged. */
import { createHash } from 'node:crypto';
import { AppError } from '@airlock/contract/errors';
import { bundleLimits, type CredentialBundle } from '@airlock/contract/guest';
import { keepDeclared, keptLines } from '@airlock/contract/provider/credential-content';
import type { CredentialFile, CredentialVerdict, FileTexts, ProviderLogin } from '@airlock/contract/provider/facts';
import type { ProviderId } from '@airlock/contract/provider/provider';
import { answerBytes } from '@airlock/contract/received';
import type { UserIds } from '../as-user.js';
import type { LoginOf } from '../provider-login.js';
import { mergeDocument, pickMembers } from './document.js';
import { mergeVariables, readVariables } from './variables.js';
import { readUserFile, removeUserFile, writeUserFile } from './folder.js';

/**
 * Bytes of a CLI's own document, which grows with what the CLI remembers: five times what may leave of it. Read, searched and merged it is
 * in memory three times, far below the 64 MiB that nothing a guest has may cost.
 */
export const cliFileBytes = 4 * 1024 * 1024;
/** With what a delivery may have put in: it is read and taken out again in any case. */
const deliveredFileBytes = cliFileBytes + bundleLimits.file;

/** What is in a bundle besides the content of its files, at most. */
const envelopeBytes = 8 * 1024;

export interface CredentialStore {
  /** What the files say, and what of them is handed over once they are complete. */
  inspect(provider: ProviderId): Promise<{ verdict: CredentialVerdict; files: FileTexts }>;
  /** A value that changes with what would be handed over; null while the credential is not complete. */
  fingerprint(provider: ProviderId): Promise<string | null>;
  /** What is handed over. @throws AppError not_found while it is not complete. */
  read(provider: ProviderId): Promise<CredentialBundle>;
  /** @throws AppError invalid_request, or credential_invalid when the bundle would leave an incomplete credential. */
  write(bundle: CredentialBundle): Promise<void>;
  /** Takes the login away; what else a CLI keeps in the same documents stays. */
  remove(provider: ProviderId): Promise<void>;
}

/** What the bundle's files declare, by path, when they are files of this provider and make a complete credential. */
function checkedTexts(bundle: CredentialBundle, login: ProviderLogin): FileTexts {
  const known = login.credentialFiles.map((file) => file.path);
  const texts = new Map<string, string>();
  for (const { path, contentBase64 } of bundle.files) {
    if (!known.includes(path) || texts.has(path)) {
      const allowed = known.join(', ');
      throw new AppError('invalid_request', `The bundle holds "${path}"; expected each at most once: ${allowed}.`);
    }
    texts.set(path, Buffer.from(contentBase64, 'base64').toString('utf8'));
  }
  const { files } = keepDeclared(login, texts);
  const verdict = login.inspectCredential(files);
  if (verdict.complete) return files;
  throw new AppError('credential_invalid', `The bundle is not a complete credential: ${verdict.reason}.`);
}

/**
 * What of a file is looked at. Of a document that the CLI shares with its login, and of any that is larger than what may leave, only the
 * members that are declared; what is no JSON is no text then. Of a file of variables, only the lines that are declared.
 * @throws AppError credential_invalid for a file that is too large, or whose login is
 */
async function readLogin(home: string, rule: CredentialFile): Promise<string | undefined> {
  const { path, keeps, delivery } = rule;
  const isText = keeps instanceof RegExp;
  if (isText && delivery === 'variables') {
    const whole = await readUserFile(home, path, deliveredFileBytes);
    return whole === null ? undefined : keptLines(readVariables(whole.content, rule.variables), keeps);
  }
  const file = await readUserFile(home, path, isText ? bundleLimits.file : deliveredFileBytes);
  if (file === null) return undefined;
  const isWhole = isText || (delivery === 'replace' && file.content.length <= bundleLimits.file);
  const reader = rule.delivery === 'json' ? rule : {};
  const text = isWhole ? file.content : pickMembers(file.content, Object.keys(keeps.shape), reader);
  if (text.length <= bundleLimits.file) return text.toString('utf8');
  throw new AppError(
    'credential_invalid',
    `The login in ${path} has ${text.length} bytes; expected ${bundleLimits.file} at most.`,
  );
}

/** @throws AppError credential_invalid when it is more than one answer may hold */
function bundleOf(provider: ProviderId, { credentialFiles }: ProviderLogin, texts: FileTexts): CredentialBundle {
  const files = credentialFiles.flatMap(({ path, mode }) => {
    const text = texts.get(path);
    return text === undefined ? [] : [{ path, mode, contentBase64: Buffer.from(text).toString('base64') }];
  });
  const bytes = files.reduce((sum, { contentBase64 }) => sum + contentBase64.length, 0);
  if (bytes <= answerBytes.bundle - envelopeBytes) return { provider, files };
  throw new AppError('credential_invalid', `The credential of ${provider} is larger than can be handed over.`);
}

export function createCredentialStore(home: string, user: UserIds, loginOf: LoginOf): CredentialStore {
  async function inspect(provider: ProviderId): ReturnType<CredentialStore['inspect']> {
    const login = loginOf(provider);
    const found = new Map<string, string>();
    for (const rule of login.credentialFiles) {
      const text = await readLogin(home, rule);
      if (text !== undefined) found.set(rule.path, text);
    }
    const verdict = login.inspectCredential(found);
    return { verdict, files: verdict.complete ? (login.handOver?.(found) ?? found) : new Map() };
  }

  async function fingerprint(provider: ProviderId): Promise<string | null> {
    const { verdict, files } = await inspect(provider);
    if (!verdict.complete) return null;
    const hash = createHash('sha256');
    for (const [path, text] of files) hash.update(`${path}:${Buffer.byteLength(text)}:`).update(text);
    return hash.digest('hex');
  }

  async function read(provider: ProviderId): Promise<CredentialBundle> {
    const { verdict, files } = await inspect(provider);
    if (!verdict.complete) {
      throw new AppError('not_found', `There is no complete credential of ${provider} yet: ${verdict.reason}.`);
    }
    return bundleOf(provider, loginOf(provider), files);
  }

  /** What puts `text` in the place of what is there; `undefined` takes away what belongs to the login. */
  async function change(rule: CredentialFile, text: string | undefined): Promise<() => Promise<void>> {
    const { path, mode } = rule;
    const delivered = text === undefined ? null : Buffer.from(text);
    if (rule.delivery === 'replace') {
      return () =>
        delivered ? writeUserFile(home, path, { content: delivered, mode }, user) : removeUserFile(home, path);
    }
    const existing = await readUserFile(home, path, delivered ? cliFileBytes : deliveredFileBytes);
    const held = existing?.content ?? null;
    const content =
      rule.delivery === 'json'
        ? mergeDocument(held, delivered, rule.members, rule)
        : mergeVariables(held, delivered, rule.variables);
    return async () => {
      if (content === null) await removeUserFile(home, path);
      else if (existing === null || !content.equals(existing.content))
        await writeUserFile(home, path, { content, mode }, user);
    };
  }

  /** All are read before any is touched: one that cannot be read leaves the others as they are. */
  async function putAll({ credentialFiles }: ProviderLogin, files: FileTexts): Promise<void> {
    const changes: (() => Promise<void>)[] = [];
    for (const rule of credentialFiles) changes.push(await change(rule, files.get(rule.path)));
    for (const make of changes) await make();
  }

  return {
    inspect,
    fingerprint,
    read,
    write: async (bundle) => {
      const login = loginOf(bundle.provider);
      // A file that this login does not have is of an earlier one, perhaps of another account.
      await putAll(login, checkedTexts(bundle, login));
    },
    remove: (provider) => putAll(loginOf(provider), new Map()),
  };
}

/**
 * The vault key file, $AIRLOCK_HOME/vault.key or AIRLOCK_VAULT_KEY_FILE (0600): 32 random bytes in base64, one key a line. The first is in use; others are
 * there while a rotation is under way, and open what it has not sealed again yet. Replaced as a whole, never silently.
 */
import { randomBytes } from 'node:crypto';
import { access, open, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { replaceFile } from '@airlock/contract/file';
import { homePaths } from '@airlock/contract/home';
import { isSystemdCredential, othersMayRead } from '@airlock/contract/vault-key-file';
import { whyNotWritable } from '@airlock/contract/writable';
import { vaultKey, type VaultKey } from './jwe.js';

const lineOf = (key: VaultKey): string => `${Buffer.from(key.bytes).toString('base64')}\n`;

export const newVaultKey = (): VaultKey => vaultKey(randomBytes(32));

/**
 * Reads the keys, the one in use first; makes one when there is no file. `elsewhere`: the file when it is not in the home.
 * @throws AppError vault_key_invalid when the file is readable by others, cannot be made, a line is not 32 bytes in base64, or the key
 * still lies in the home
 */
export async function loadVaultKeys(home: string, elsewhere?: string): Promise<[VaultKey, ...VaultKey[]]> {
  const path = elsewhere ?? homePaths(home).vaultKey;
  if (elsewhere !== undefined) await refuseTwo(homePaths(home).vaultKey, elsewhere);
  try {
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(lineOf(newVaultKey()));
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (!(await isThere(path))) throw await notWritten(path, error);
  }
  const { mode } = await stat(path);
  if (othersMayRead(path, mode)) {
    throw new AppError('vault_key_invalid', `${path} can be read by others (mode ${(mode & 0o777).toString(8)}).`, {
      hint: `Run: chmod 600 ${path}`,
    });
  }
  const [first = '', ...others] = (await readFile(path, 'utf8')).trim().split('\n');
  return [parseKey(first), ...others.map(parseKey)];
}

/** Replaces the file in one step. @throws AppError vault_key_invalid where it cannot be written */
export async function storeVaultKeys(home: string, keys: readonly VaultKey[], elsewhere?: string): Promise<void> {
  const path = elsewhere ?? homePaths(home).vaultKey;
  await replaceFile(path, keys.map(lineOf).join('')).catch(async (error: unknown) => {
    throw await notWritten(path, error);
  });
}

/** A new key beside the old one would open nothing, and the old one would go on lying where it should not. */
async function refuseTwo(inHome: string, path: string): Promise<void> {
  if (inHome === path || !(await isThere(inHome))) return;
  throw new AppError('vault_key_invalid', `The vault key is to be ${path}, but there is ${inHome}, too.`, {
    hint: `Move it while the controller is stopped (mv ${inHome} ${path}), or remove the one that is not in use.`,
  });
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

async function notWritten(path: string, cause: unknown): Promise<AppError> {
  const message = `The vault key ${path} cannot be written (${(cause as Error).message}).`;
  if (isSystemdCredential(path)) {
    const hint =
      'systemd’s credentials cannot be: make or change the key while AIRLOCK_VAULT_KEY_FILE is its source, then restart.';
    return new AppError('vault_key_invalid', message, { hint, cause });
  }
  const refused = await whyNotWritable(dirname(path), 'The folder of AIRLOCK_VAULT_KEY_FILE');
  const [why, hint] = refused ? [` ${refused.message}`, refused.hint] : ['', ''];
  return new AppError('vault_key_invalid', `${message}${why}`, { hint, cause });
}

const parseKey = (line: string): VaultKey => vaultKey(Buffer.from(line.trim(), 'base64'));

/**
 * The vault key file $AIRLOCK_HOME/vault.key (0600): 32 random bytes in base64, one key a line. The first is in use; others are
 * there while a rotation is under way, and open what it has not sealed again yet. Replaced as a whole, never silently.
 */
import { randomBytes } from 'node:crypto';
import { open, readFile, stat } from 'node:fs/promises';
import { AppError } from '@airlock/contract/errors';
import { replaceFile } from '@airlock/contract/file';
import { homePaths } from '@airlock/contract/home';
import { vaultKey, type VaultKey } from './jwe.js';

const lineOf = (key: VaultKey): string => `${Buffer.from(key.bytes).toString('base64')}\n`;

export const newVaultKey = (): VaultKey => vaultKey(randomBytes(32));

/**
 * Reads the keys, the one in use first; makes one when there is no file.
 * @throws AppError vault_key_invalid when the file is readable by others or a line is not 32 bytes in base64
 */
export async function loadVaultKeys(home: string): Promise<[VaultKey, ...VaultKey[]]> {
  const path = homePaths(home).vaultKey;
  try {
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(lineOf(newVaultKey()));
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const { mode } = await stat(path);
  if ((mode & 0o077) !== 0) {
    throw new AppError('vault_key_invalid', `${path} can be read by others (mode ${(mode & 0o777).toString(8)}).`, {
      hint: `Run: chmod 600 ${path}`,
    });
  }
  const [first = '', ...others] = (await readFile(path, 'utf8')).trim().split('\n');
  return [parseKey(first), ...others.map(parseKey)];
}

/** Replaces the file in one step. */
export async function storeVaultKeys(home: string, keys: readonly VaultKey[]): Promise<void> {
  await replaceFile(homePaths(home).vaultKey, keys.map(lineOf).join(''));
}

const parseKey = (line: string): VaultKey => vaultKey(Buffer.from(line.trim(), 'base64'));

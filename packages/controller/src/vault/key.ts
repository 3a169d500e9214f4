/** The vault key: 32 random bytes in $AIRLOCK_HOME/vault.key (0600), made at the first start and never replaced silently. */
import { randomBytes } from 'node:crypto';
import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { vaultKey, type VaultKey } from './jwe.js';

/**
 * Reads the key, or makes it when there is none.
 * @throws AppError vault_key_invalid when the file is readable by others or not 32 bytes in base64
 */
export async function loadVaultKey(home: string): Promise<VaultKey> {
  const path = join(home, 'vault.key');
  try {
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(`${randomBytes(32).toString('base64')}\n`);
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
  return vaultKey(Buffer.from((await readFile(path, 'utf8')).trim(), 'base64'));
}

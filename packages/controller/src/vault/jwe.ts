/** Sealing with JWE: a fresh content key each time, wrapped by the vault key; key id and context are authenticated. */
import { createHash } from 'node:crypto';
import { CompactEncrypt, compactDecrypt, decodeProtectedHeader, errors } from 'jose';
import { AppError } from '@airlock/contract/errors';

export interface VaultKey {
  /** First 16 hex digits of the key's SHA-256: names the key, tells nothing of it. */
  id: string;
  /** 32 bytes. */
  bytes: Uint8Array;
}

/** The key with its id. @throws AppError vault_key_invalid unless it has 32 bytes */
export function vaultKey(bytes: Uint8Array): VaultKey {
  if (bytes.length !== 32)
    throw new AppError('vault_key_invalid', `The vault key has ${bytes.length} bytes; 32 are expected.`);
  return { id: createHash('sha256').update(bytes).digest('hex').slice(0, 16), bytes };
}

/** Seals `text` for `context`; opening it with any other context fails. */
export async function sealText(key: VaultKey, context: string, text: string): Promise<string> {
  return new CompactEncrypt(new TextEncoder().encode(text))
    .setProtectedHeader({ alg: 'A256GCMKW', enc: 'A256GCM', kid: key.id, ctx: context })
    .encrypt(key.bytes);
}

/** Which key a sealed text needs; undefined for what is no sealed text. */
export function keyIdOf(sealed: string): string | undefined {
  try {
    return decodeProtectedHeader(sealed).kid;
  } catch (error) {
    if (error instanceof TypeError || error instanceof errors.JOSEError) return undefined;
    throw error;
  }
}

/** @throws AppError vault_key_invalid: none of `keys` is the one, other context, or altered */
export async function openText(keys: readonly VaultKey[], context: string, sealed: string): Promise<string> {
  const kid = keyIdOf(sealed);
  const key = keys.find(({ id }) => id === kid);
  if (kid === undefined) throw new AppError('vault_key_invalid', 'A sealed secret cannot be opened (not a JWE).');
  if (!key) {
    const known = keys.map(({ id }) => id).join(', ');
    throw new AppError('vault_key_invalid', `A sealed secret needs vault key ${kid}; the key in use is ${known}.`, {
      hint: 'Put the vault.key file that belongs to this database back into AIRLOCK_HOME, or restore a backup.',
    });
  }
  try {
    const opened = await compactDecrypt(sealed, key.bytes, {
      keyManagementAlgorithms: ['A256GCMKW'],
      contentEncryptionAlgorithms: ['A256GCM'],
    });
    if (opened.protectedHeader['ctx'] !== context) {
      throw new AppError('vault_key_invalid', 'A sealed secret was moved: it was sealed for another purpose.');
    }
    return new TextDecoder().decode(opened.plaintext);
  } catch (error) {
    if (error instanceof AppError) throw error;
    const reason = error instanceof errors.JOSEError ? error.code : 'not a JWE';
    throw new AppError('vault_key_invalid', `A sealed secret cannot be opened (${reason}).`, { cause: error });
  }
}

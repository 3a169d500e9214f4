/**
 * The proof that whoever calls can read the vault key. Calls that hand out, or bring in, secrets of others want it, so that the
 * administrator’s token alone, or a stolen one, is not enough: the key file is on the host, and for the account of Airlock only.
 */
import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { KeyChallenge } from './api.js';
import { AppError } from './errors.js';
import type { JsonClient } from './http-client.js';

/** The proof for the one call `call`, such as `POST /api/vault/backup`: `key` are the 32 bytes, `nonce` what the controller asked with. */
export function keyProof(key: Uint8Array, nonce: string, call: string): string {
  // A key of its own: nothing that is proved can be taken for something sealed.
  const own = createHmac('sha256', key).update('airlock-key-proof').digest();
  return `${nonce}.${createHmac('sha256', own).update(`${nonce}\n${call}`).digest('base64url')}`;
}

/** Asks the controller for a nonce, and proves with the key in use in `keyFile`. @throws AppError forbidden when that cannot be read */
export async function proveKey(client: Pick<JsonClient, 'call'>, keyFile: string, call: string): Promise<string> {
  const text = await readFile(keyFile, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new AppError('forbidden', `${keyFile} cannot be read (${error.code ?? error.message}).`, {
      hint: 'Backups of others’ secrets are made on the host, by the account that Airlock runs as, with the AIRLOCK_VAULT_KEY_FILE of the controller.',
      cause: error,
    });
  });
  const [line = ''] = text.split('\n');
  const { nonce } = await client.call('POST', '/api/vault/challenge', KeyChallenge);
  return keyProof(Buffer.from(line.trim(), 'base64'), nonce, call);
}

/**
 * What this guest holds for the controller: the credentials, and beside each the number of the delivery that it came with.
 * The number is taken away before the files are touched and written after them: a delivery cut short leaves none.
 */
import { AppError } from '@airlock/contract/errors';
import type { CredentialBundle, GuestCredentials } from '@airlock/contract/guest';
import type { ProviderId } from '@airlock/contract/provider/provider';
import { providers } from '@airlock/contract/provider/registry';
import type { Log } from '../log.js';
import type { UserIds } from '../as-user.js';
import { readUserFile, removeUserFile, writeUserFile } from './folder.js';
import type { CredentialStore } from './store.js';

export interface Custody {
  list(): Promise<GuestCredentials>;
  /** `generation`: null for a delivery that nobody counts. @throws AppError as `CredentialStore.write` */
  deliver(bundle: CredentialBundle, generation: number | null): Promise<void>;
  remove(provider: ProviderId): Promise<void>;
}

/** Bytes: a number and a line break. */
const markerBytes = 64;
const markerOf = (provider: ProviderId): string => `.airlock/${provider}.generation`;

export function createCustody(store: CredentialStore, home: string, user: UserIds, log: Log): Custody {
  async function generationOf(provider: ProviderId): Promise<number | null> {
    const text = (await readUserFile(home, markerOf(provider), markerBytes))?.content.toString('utf8').trim() ?? '';
    return /^[1-9]\d{0,8}$/.test(text) ? Number(text) : null;
  }

  async function entryOf(provider: ProviderId): Promise<GuestCredentials['credentials'][number]> {
    try {
      const fingerprint = await store.fingerprint(provider);
      return { provider, complete: fingerprint !== null, fingerprint, generation: await generationOf(provider) };
    } catch (error) {
      // What the person has put in the place of a credential file is no credential.
      const { message, hint } = AppError.from(error);
      log(`The credential of ${provider} cannot be read: ${message}`);
      return {
        provider,
        complete: false,
        fingerprint: null,
        generation: null,
        unreadable: `${message} ${hint ?? ''}`.trim(),
      };
    }
  }

  return {
    async list() {
      const known = Object.values(providers).filter(({ login }) => login !== null);
      const credentials: GuestCredentials['credentials'] = [];
      // One after the other: the large files of all of them would be in memory together.
      for (const { id } of known) credentials.push(await entryOf(id));
      return { credentials };
    },

    async deliver(bundle, generation) {
      const marker = markerOf(bundle.provider);
      await removeUserFile(home, marker);
      await store.write(bundle);
      if (generation === null) return;
      await writeUserFile(home, marker, { content: Buffer.from(`${generation}\n`), mode: 0o600 }, user);
    },

    async remove(provider) {
      await store.remove(provider);
      await removeUserFile(home, markerOf(provider));
    },
  };
}

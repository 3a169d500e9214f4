/** The vault keys in memory. Whoever seals does so inside `sealing`, so that a key is retired only when nobody still seals under it. */
import { keyProof } from '@airlock/contract/key-proof';
import { hashSecret, sameHash } from '../lib/secret.js';
import { keyIdOf, openText, sealText, type VaultKey } from './jwe.js';
import { newVaultKey } from './key.js';

export type Seal = (context: string, text: string) => Promise<string>;

export interface KeyRing {
  /** The key in use first. */
  ids(): [string, ...string[]];
  /** Runs `work`, which seals and stores what it sealed, under the key that is in use when it begins. */
  sealing<T>(work: (seal: Seal) => Promise<T>): Promise<T>;
  /** @throws AppError vault_key_invalid when the key or the context is not the one it was sealed with */
  open(context: string, sealed: string): Promise<string>;
  /** Under which key it is sealed: the one in use, one that a rotation is replacing, or one that is not here. */
  ageOf(sealed: string): 'current' | 'old' | 'unknown';
  /** Whether the proof, of contract/key-proof, was made with a key that is here. */
  proves(proof: string, nonce: string, call: string): boolean;
  /** Brings a new key into use, once the key file holds it beside the old one. */
  turn(): Promise<void>;
  /** Drops every key but the one in use: from memory, then from the key file. Only when nothing is sealed under them any more. */
  retire(): Promise<void>;
}

/** `store` replaces the key file. */
export function createKeyRing(
  loaded: readonly [VaultKey, ...VaultKey[]],
  store: (keys: readonly VaultKey[]) => Promise<void>,
): KeyRing {
  let keys = loaded;
  const atWork = new Map<string, Set<Promise<unknown>>>();

  async function drained(keyId: string): Promise<void> {
    const others = atWork.get(keyId);
    while (others !== undefined && others.size > 0) await Promise.allSettled(others);
  }

  return {
    ids: () => keys.map(({ id }) => id) as [string, ...string[]],

    sealing(work) {
      const [key] = keys;
      const running = atWork.get(key.id) ?? new Set();
      atWork.set(key.id, running);
      const done = work((context, text) => sealText(key, context, text)).finally(() => running.delete(done));
      running.add(done);
      return done;
    },

    open: (context, sealed) => openText(keys, context, sealed),
    ageOf(sealed) {
      const position = keys.findIndex(({ id }) => id === keyIdOf(sealed));
      return position === 0 ? 'current' : position > 0 ? 'old' : 'unknown';
    },

    proves: (proof, nonce, call) =>
      keys.some(({ bytes }) => sameHash(hashSecret(keyProof(bytes, nonce, call)), hashSecret(proof))),

    async turn() {
      const next: [VaultKey, ...VaultKey[]] = [newVaultKey(), ...keys];
      await store(next);
      keys = next;
      for (const { id } of next.slice(1)) await drained(id);
    },

    async retire() {
      await store([keys[0]]);
      keys = [keys[0]];
    },
  };
}

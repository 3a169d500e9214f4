/** The vault, put together from its verbs. */
import type { VaultStatus } from '@airlock/contract/api';
import { createShared } from '../lib/keyed.js';
import type { Store } from '../store/store.js';
import { backup } from './backup.js';
import { commit } from './commit.js';
import type { VaultContext } from './context.js';
import { dropHomeKey, openHomeKey, sealHomeKey } from './home-key.js';
import { createKeyProofs } from './proof.js';
import { restore } from './restore.js';
import { rotate, vaultStatus } from './rotate.js';
import { forget, list, listCustody, note, stagedKeys } from './rows.js';
import { active, discard, discardKey, isCommitted, readRow, stage, staged } from './stage.js';
import type { Vault } from './vault.js';
import { remove, writeBack } from './write-back.js';

export interface VaultDeps extends Omit<VaultContext, 'db' | 'told'> {
  store: Pick<Store, 'db'>;
}

/** The vault on `store` under the keys of `ring`. */
export function createVault({ store, ...deps }: VaultDeps): Vault {
  const ctx: VaultContext = { ...deps, db: store.db, told: new Set() };
  const rotations = createShared<VaultStatus>();
  return {
    stage: (owner, bundle) => stage(ctx, owner, bundle),
    staged: (sessionId) => staged(ctx, sessionId),
    active: (userId, provider) => active(ctx, { userId, provider }),
    isCommitted: (sessionId) => isCommitted(ctx, sessionId),
    commit: (userId, provider, lineage) => commit(ctx, { userId, provider }, lineage),
    discard: (sessionId) => discard(ctx, sessionId),
    discardKey: (owner, lineage) => discardKey(ctx, owner, lineage),
    writeBack: (owner, vmId, from, bundle) => writeBack(ctx, owner, { vmId, from }, bundle),
    remove: (owner, noted) => remove(ctx, owner, noted),
    forget: (userId) => forget(ctx.db, userId),
    read: (row) => readRow(ctx, row),
    list: (userId) => list(ctx.db, userId),
    stagedKeys: () => stagedKeys(ctx.db),
    custody: (userId) => listCustody(ctx.db, userId),
    note: (owner, values) => note(ctx.db, owner, values),
    sealHomeKey: (vmId, key) => sealHomeKey(ctx, vmId, key),
    openHomeKey: (vmId) => openHomeKey(ctx, vmId),
    dropHomeKey: (vmId) => dropHomeKey(ctx, vmId),
    backup: (passphrase) => backup(ctx, passphrase),
    restore: (passphrase, sealed, homes, noted) => restore(ctx, { passphrase, backup: sealed }, homes, noted),
    keyProofs: createKeyProofs(ctx.ring.proves),
    status: () => vaultStatus(ctx),
    rotate: () => rotations.run('the vault', () => rotate(ctx)),
  };
}

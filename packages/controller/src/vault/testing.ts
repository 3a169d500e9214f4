/** For tests: vaults on every database that this host can run, with a user and a CLI VM in them. */
import { newId } from '@airlock/contract/ids';
import type { CredentialBundle } from '@airlock/contract/guest';
import { vms } from '../vm/table.js';
import { addUser, listUsers, silentLog, type TestStore } from '../store/testing.js';
import type { Store } from '../store/store.js';
import { createVault } from './create.js';
import { newVaultKey } from './key.js';
import { createKeyRing, type KeyRing } from './ring.js';
import type { VaultKey } from './jwe.js';
import type { Owner, Vault } from './vault.js';

/** A codex login whose refresh token is `token`, in the form in which it is sealed. */
export const bundleOf = (token: string): CredentialBundle => ({
  provider: 'codex',
  files: [
    {
      path: '.codex/auth.json',
      mode: 0o600,
      contentBase64: Buffer.from(
        `${JSON.stringify({ tokens: { id_token: 'i', access_token: 'a', refresh_token: token } }, null, 2)}\n`,
      ).toString('base64'),
    },
  ],
});

export const tokenOf = (bundle: CredentialBundle | undefined): string | undefined => {
  const text = Buffer.from(bundle?.files[0]?.contentBase64 ?? '', 'base64').toString();
  return text === '' ? undefined : (JSON.parse(text) as { tokens: { refresh_token: string } }).tokens.refresh_token;
};

export interface TestVault {
  vault: Vault;
  ring: KeyRing;
  /** What the key file would hold. */
  keyFile: readonly VaultKey[];
  owner: Owner;
  vmId: string;
}

/** A vault on `store` that reads the keys of `ring`. */
export const testVault = (store: Store, ring: KeyRing): Vault =>
  createVault({ store, ring, log: silentLog, users: { list: () => listUsers(store.db) } });

/** A vault on `db` with a fresh key, the user ada, and her CLI VM. */
export async function createTestVault({ store }: TestStore, name = 'ada', port = 10001): Promise<TestVault> {
  const owner: Owner = { userId: newId('usr'), provider: 'codex' };
  await addUser(store.db, owner.userId, name, port);
  const first = newVaultKey();
  const made = { keyFile: [first] as readonly VaultKey[] };
  const ring = createKeyRing([first], async (keys) => void (made.keyFile = keys));
  const vmId = newId('vm');
  await store.db.insert(vms).values({
    ...{ id: vmId, userId: owner.userId, kind: 'cli', state: 'running', imageId: 'img_000000', accel: 'tcg' },
    timings: { vncMs: null, agentMs: null, readyMs: null },
  });
  const vault = testVault(store, ring);
  await vault.sealHomeKey(vmId);
  return Object.assign(made, { vault, ring, owner, vmId });
}

/** The vault as a whole, for administrators: its keys, backup, restore. Backups are for those who can read the vault key as well. */
import {
  BackupRequest,
  BackupResponse,
  KeyChallenge,
  RestoreRequest,
  RestoreResponse,
  VaultStatus,
} from '@airlock/contract/api';
import { answers } from '../answers.js';
import type { VmRow } from '../../vm/vm.js';
import type { HttpDeps, Server } from '../deps.js';
import { note } from '../note.js';

/** Largest backup that is taken, in bytes. */
const backupLimit = 32 * 1024 * 1024;
const config = { access: 'admin' } as const;
const rateLimit = { max: 60, timeWindow: 60_000 };

export function addVaultRoutes(server: Server, deps: HttpDeps): void {
  addKeys(server, deps);
  addBackup(server, deps);
  addRestore(server, deps);
}

function addKeys(server: Server, deps: HttpDeps): void {
  const { vault } = deps;
  server.get(
    '/api/vault',
    {
      config,
      schema: { response: answers(200, VaultStatus), summary: 'Which vault keys are in use, and for how much' },
    },
    async () => vault.status(),
  );

  server.post(
    '/api/vault/rotate',
    {
      config,
      schema: { response: answers(200, VaultStatus), summary: 'Seal everything again under a new vault key' },
    },
    async (request) => {
      await note(deps, request, { action: 'vault_rotated', userId: null });
      return vault.rotate();
    },
  );

  server.post(
    '/api/vault/challenge',
    {
      config: { ...config, rateLimit },
      schema: {
        response: answers(200, KeyChallenge),
        summary:
          'What a proof is made of that one can read the vault key; backups and restores of others’ secrets want it',
      },
    },
    async () => {
      const { nonce, expiresAt } = vault.keyProofs.challenge();
      return { nonce, expiresAt: expiresAt.toISOString() };
    },
  );
}

function addBackup(server: Server, deps: HttpDeps): void {
  const { vault, custodian } = deps;
  server.post(
    '/api/vault/backup',
    {
      config: { ...config, rateLimit },
      schema: {
        body: BackupRequest,
        response: answers(200, BackupResponse),
        summary:
          'All credentials and home keys, sealed under a passphrase; wants the proof that one can read the vault key',
      },
    },
    async (request) => {
      const { passphrase, keyProof } = request.body;
      vault.keyProofs.require(keyProof, 'POST /api/vault/backup');
      await note(deps, request, { action: 'vault_backed_up', userId: null });
      await custodian.syncAll();
      const unconfirmed = await custodian.unconfirmed();
      return { ...(await vault.backup(passphrase)), unconfirmed };
    },
  );
}

function addRestore(server: Server, deps: HttpDeps): void {
  const { vault, custodian, vms } = deps;
  server.post(
    '/api/vault/restore',
    {
      bodyLimit: backupLimit,
      config: { ...config, rateLimit },
      schema: {
        body: RestoreRequest,
        response: answers(200, RestoreResponse),
        summary:
          'Bring back from a backup what is missing here or older; wants the proof that one can read the vault key',
      },
    },
    async (request) => {
      const { passphrase, backup, keyProof } = request.body;
      vault.keyProofs.require(keyProof, 'POST /api/vault/restore');
      await note(deps, request, { action: 'vault_restored', userId: null });
      const homes = homesOf(await vms.list(null));
      const entries = await vault.restore(passphrase, backup, homes, ({ userId, provider }, tx) =>
        note(deps, request, { action: 'credential_restored', userId, subject: provider }, tx),
      );
      await custodian.syncAll();
      return { entries };
    },
  );
}

/** VMs whose encrypted home is there, or may be. */
function homesOf(vms: readonly VmRow[]): ReadonlySet<string> {
  const gone: VmRow['state'][] = ['destroying', 'failed', 'destroyed'];
  return new Set(vms.filter(({ kind, state }) => kind === 'cli' && !gone.includes(state)).map(({ id }) => id));
}

/** The vault as a whole, for administrators: its keys, backup, restore. */
import { BackupRequest, BackupResponse, RestoreRequest, RestoreResponse, VaultStatus } from '@airlock/contract/api';
import { answers } from '../answers.js';
import type { VmRow } from '../../vm/vm.js';
import type { HttpDeps, Server } from '../deps.js';

/** Largest backup that is taken, in bytes. */
const backupLimit = 32 * 1024 * 1024;

export function addVaultRoutes(server: Server, { vault, vms, custodian }: HttpDeps): void {
  const config = { access: 'admin' } as const;

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
    async () => vault.rotate(),
  );

  server.post(
    '/api/vault/backup',
    {
      config: { ...config, rateLimit: { max: 60, timeWindow: 60_000 } },
      schema: {
        body: BackupRequest,
        response: answers(200, BackupResponse),
        summary: 'All credentials and home keys, sealed under a passphrase',
      },
    },
    async (request) => {
      await custodian.syncAll();
      const unconfirmed = await custodian.unconfirmed();
      return { ...(await vault.backup(request.body.passphrase)), unconfirmed };
    },
  );

  server.post(
    '/api/vault/restore',
    {
      bodyLimit: backupLimit,
      config: { ...config, rateLimit: { max: 60, timeWindow: 60_000 } },
      schema: {
        body: RestoreRequest,
        response: answers(200, RestoreResponse),
        summary: 'Bring back from a backup what is missing here or older',
      },
    },
    async (request) => {
      const { passphrase, backup } = request.body;
      const entries = await vault.restore(passphrase, backup, homesOf(await vms.list(null)));
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

/** The custodian: looks into running CLI VMs every few seconds, and answers for each credential. */
import type { Logger } from 'pino';
import { AppError } from '@airlock/contract/errors';
import type { ProviderId } from '@airlock/contract/provider/provider';
import type { Settings } from '@airlock/contract/settings';
import { startLoop, type Loop } from '../lib/loop.js';
import type { Vms, VmRow } from '../vm/vm.js';
import type { CredentialRow, CustodyRow, Owner, Vault } from '../vault/vault.js';
import { createApiKeys } from './api-key.js';
import { createChecks } from './check.js';
import type { Custodian, SyncReport } from './custodian.js';
import type { CredentialGuard } from './guard.js';
import { summaries } from './summary.js';
import { give, tend } from './tend.js';

export interface CustodianDeps {
  vault: Vault;
  vms: Vms;
  /** The one that `vms` was made with. */
  guard: CredentialGuard;
  settings: Pick<Settings, 'AIRLOCK_CREDENTIAL_POLL_S' | 'AIRLOCK_HEALTH_INTERVAL_S' | 'AIRLOCK_HEALTH_MAX_AGE_S'>;
  log: Logger;
}

export function createCustodian(deps: CustodianDeps): Custodian {
  const { vault, vms, settings, log } = deps;
  const lifetime = new AbortController();
  const sync = (vmId: string): Promise<SyncReport[]> => syncOne(deps, vmId);
  const deliver: Custodian['deliver'] = (vmId, staged) => deliverTo(deps, vmId, staged);
  const checks = createChecks({ vault, vms, settings, log, sync, signal: lifetime.signal });
  const apiKeys = createApiKeys({ vault, vms, log, deliver, sync, signal: lifetime.signal });
  const loops: Loop[] = [];
  return {
    sync,
    syncAll: () => syncAll(deps),
    deliver,
    check: checks.check,
    setApiKey: apiKeys.set,
    retire: (browserVmId, provider) => retire(deps, browserVmId, provider),
    list: async (userId) => summaries(await vault.list(userId), await vault.custody(userId), await vms.list(userId)),
    unconfirmed: () => countUnconfirmed(deps),
    remove(owner) {
      apiKeys.cancel(owner);
      return remove(deps, owner);
    },
    async resume() {
      await apiKeys.resume();
      const pollMs = settings.AIRLOCK_CREDENTIAL_POLL_S * 1000;
      const healthMs = Math.min(settings.AIRLOCK_HEALTH_INTERVAL_S, 60) * 1000;
      loops.push(
        startLoop({ name: 'look into CLI VMs', everyMs: pollMs, atOnce: true, turn: () => syncAll(deps), log }),
        startLoop({ name: 'checks that are due', everyMs: healthMs, atOnce: true, turn: checks.due, log }),
      );
    },
    async close() {
      lifetime.abort(new AppError('shutting_down', 'The controller is shutting down.'));
      await Promise.all([...loops.map((loop) => loop.stop()), apiKeys.close()]);
    },
  };
}

async function cliVm({ vms }: CustodianDeps, vmId: string): Promise<VmRow> {
  const vm = await vms.get(vmId);
  if (vm?.kind === 'cli') return vm;
  throw new AppError('not_found', `There is no CLI VM ${vmId}.`);
}

async function syncOne(deps: CustodianDeps, vmId: string): Promise<SyncReport[]> {
  return deps.guard.sync(await cliVm(deps, vmId), deps.vms);
}

async function syncAll({ vms, guard }: CustodianDeps): Promise<void> {
  const running = (await vms.list(null)).filter(({ kind, state }) => kind === 'cli' && state === 'running');
  await Promise.all(running.map((vm) => guard.syncQuietly(vm, vms)));
}

type Staged = Owner & { lineage: number };

async function deliverTo(deps: CustodianDeps, vmId: string, staged: Staged): Promise<void> {
  const { vault, vms, guard, log } = deps;
  const vm = await cliVm(deps, vmId);
  await guard.inTurn(vmId, async () => {
    await tend(vm, { vault, log, guest: vms.guest });
    const { row, custody } = await find(vault, staged);
    await give({ vm, guest: await vms.guest(vmId), custody }, row, { vault });
  });
}

async function find(vault: Vault, staged: Staged): Promise<{ row: CredentialRow; custody: CustodyRow | undefined }> {
  const isMine = (one: Owner): boolean => one.provider === staged.provider;
  const row = (await vault.list(staged.userId)).find((one) => isMine(one) && one.lineage === staged.lineage);
  if (!row) throw new AppError('vault_conflict', `Sign-in ${staged.lineage} is not in the vault any more.`);
  return { row, custody: (await vault.custody(staged.userId)).find(isMine) };
}

async function retire({ vms, log }: CustodianDeps, browserVmId: string, provider: ProviderId): Promise<void> {
  try {
    const guest = await vms.guest(browserVmId);
    await guest.call('DELETE', `/credentials/${provider}`, null);
  } catch (error) {
    const { code, message } = AppError.from(error);
    log.warn({ vmId: browserVmId, code, reason: message }, 'the login could not be taken out; the VM is destroyed');
    await vms.destroy(browserVmId);
  }
}

async function countUnconfirmed({ vault, vms }: CustodianDeps): Promise<number> {
  const running = new Set((await vms.list(null)).flatMap(({ id, state }) => (state === 'running' ? [id] : [])));
  const custody = (await vault.custody(null)).filter((held) => !held.confirmed && !running.has(held.holderVmId ?? ''));
  const isOf = (one: Owner, other: Owner): boolean => one.userId === other.userId && one.provider === other.provider;
  const active = (await vault.list(null)).filter(({ state }) => state === 'active');
  return active.filter((row) => custody.some((held) => isOf(row, held))).length;
}

async function remove({ vault, vms, guard }: CustodianDeps, owner: Owner): ReturnType<Custodian['remove']> {
  if (!(await vault.remove(owner)))
    throw new AppError('not_found', `There is no ${owner.provider} credential to remove.`);
  const held = (await vault.custody(owner.userId)).find(({ provider }) => provider === owner.provider);
  const holder = await vms.get(held?.holderVmId ?? '');
  if (!holder || ['failed', 'destroying', 'destroyed'].includes(holder.state)) return { cliVm: 'none' };
  const isDone = holder.state === 'running' && (await guard.syncQuietly(holder, vms));
  return { cliVm: isDone ? 'removed' : 'pending' };
}

/** The custodian: looks into running CLI VMs every few seconds, and answers for each credential. */
import type { Logger } from 'pino';
import { AppError } from '@airlock/contract/errors';
import type { Settings } from '@airlock/contract/settings';
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
  const { vault, vms, guard, settings, log } = deps;
  const lifetime = new AbortController();
  const checks = createChecks({ vault, vms, settings, log, sync, signal: lifetime.signal });
  const apiKeys = createApiKeys({ vault, vms, log, deliver, sync, signal: lifetime.signal });
  const poll = createLoop(syncAll, settings.AIRLOCK_CREDENTIAL_POLL_S * 1000);
  const health = createLoop(checks.due, Math.min(settings.AIRLOCK_HEALTH_INTERVAL_S, 60) * 1000);

  async function cliVm(vmId: string): Promise<VmRow> {
    const vm = await vms.get(vmId);
    if (vm?.kind === 'cli') return vm;
    throw new AppError('not_found', `There is no CLI VM ${vmId}.`);
  }

  async function sync(vmId: string): Promise<SyncReport[]> {
    return guard.sync(await cliVm(vmId), vms);
  }

  async function syncAll(): Promise<void> {
    const running = (await vms.list(null)).filter(({ kind, state }) => kind === 'cli' && state === 'running');
    await Promise.all(running.map((vm) => guard.syncQuietly(vm, vms)));
  }

  async function deliver(vmId: string, staged: Owner & { generation: number }): Promise<void> {
    const vm = await cliVm(vmId);
    await guard.inTurn(vmId, async () => {
      await tend(vm, { vault, log, guest: vms.guest });
      const { row, custody } = await find(staged);
      await give({ vm, guest: await vms.guest(vmId), custody }, row, { vault });
    });
  }

  async function find(
    staged: Owner & { generation: number },
  ): Promise<{ row: CredentialRow; custody: CustodyRow | undefined }> {
    const isMine = (one: Owner): boolean => one.provider === staged.provider;
    const row = (await vault.list(staged.userId)).find((one) => isMine(one) && one.lineage === staged.generation);
    if (!row) throw new AppError('vault_conflict', `Sign-in ${staged.generation} is not in the vault any more.`);
    return { row, custody: (await vault.custody(staged.userId)).find(isMine) };
  }

  return {
    sync,
    syncAll,
    deliver,
    check: checks.check,
    setApiKey: apiKeys.set,

    async retire(browserVmId, provider) {
      try {
        const guest = await vms.guest(browserVmId);
        await guest.call('DELETE', `/credentials/${provider}`, null);
      } catch (error) {
        const { code, message } = AppError.from(error);
        log.warn({ vmId: browserVmId, code, reason: message }, 'the login could not be taken out; the VM is destroyed');
        await vms.destroy(browserVmId);
      }
    },

    async list(userId) {
      return summaries(await vault.list(userId), await vault.custody(userId), await vms.list(userId));
    },

    async unconfirmed() {
      const running = new Set((await vms.list(null)).flatMap(({ id, state }) => (state === 'running' ? [id] : [])));
      const custody = (await vault.custody(null)).filter(
        (held) => !held.confirmed && !running.has(held.holderVmId ?? ''),
      );
      const isOf = (one: Owner, other: Owner): boolean =>
        one.userId === other.userId && one.provider === other.provider;
      const active = (await vault.list(null)).filter(({ state }) => state === 'active');
      return active.filter((row) => custody.some((held) => isOf(row, held))).length;
    },

    async remove(owner) {
      apiKeys.cancel(owner);
      if (!(await vault.remove(owner)))
        throw new AppError('not_found', `There is no ${owner.provider} credential to remove.`);
      const held = (await vault.custody(owner.userId)).find(({ provider }) => provider === owner.provider);
      const holder = await vms.get(held?.holderVmId ?? '');
      if (!holder || ['failed', 'destroying', 'destroyed'].includes(holder.state)) return { cliVm: 'none' };
      const isDone = holder.state === 'running' && (await guard.syncQuietly(holder, vms));
      return { cliVm: isDone ? 'removed' : 'pending' };
    },

    async resume() {
      await apiKeys.resume();
      poll.start();
      health.start();
    },

    async close() {
      lifetime.abort(new AppError('shutting_down', 'The controller is shutting down.'));
      await Promise.all([poll.stop(), health.stop(), apiKeys.close()]);
    },
  };
}

/** `work` now and again `everyMs` after it has ended; `work` itself never rejects. */
function createLoop(work: () => Promise<void>, everyMs: number): { start(): void; stop(): Promise<void> } {
  let timer: NodeJS.Timeout | undefined;
  let running = Promise.resolve();
  let stopped = false;
  const turn = (): void => {
    running = work().finally(() => {
      if (!stopped) timer = setTimeout(turn, everyMs);
    });
  };
  return {
    start: turn,
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}

/** The custodian: looks into running CLI VMs every few seconds, and answers for each credential. */
import type { Noted } from '../audit/audit.js';
import { setMaxListeners } from 'node:events';
import type { Logger } from 'pino';
import { createBackground, type Background } from '@airlock/contract/background';
import { AppError } from '@airlock/contract/errors';
import type { ProviderId } from '@airlock/contract/provider/provider';
import type { Settings } from '@airlock/contract/settings';
import { startLoop, type Loop } from '../lib/loop.js';
import type { Reach, Vms, VmRow } from '../vm/vm.js';
import type { CredentialRow, CustodyRow, Owner, Vault } from '../vault/vault.js';
import { createApiKeys } from './api-key.js';
import { createChecks, listen } from './check.js';
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
  const { signal } = lifetime;
  // One wait for each VM.
  setMaxListeners(0, signal);
  const ctx: Ctx = { ...deps, reach: { vms, signal }, background: createBackground(log) };
  const sync = (vmId: string): Promise<SyncReport[]> => syncOne(ctx, vmId);
  const deliver: Custodian['deliver'] = (vmId, staged, over) => deliverTo(ctx, vmId, staged, over);
  const checks = createChecks({ vault, vms, settings, log, sync, signal });
  const apiKeys = createApiKeys({ vault, vms, log, deliver, sync, signal });
  const loops: Loop[] = [];
  return {
    sync,
    syncAll: () => syncAll(ctx),
    deliver,
    check: checks.check,
    listen: (owner) => listen(deps, owner),
    setApiKey: apiKeys.set,
    retire: (browserVmId, provider) => retire(deps, browserVmId, provider),
    list: async (userId) => summaries(await vault.list(userId), await vault.custody(userId), await vms.list(userId)),
    unconfirmed: () => countUnconfirmed(deps),
    remove(owner, noted) {
      apiKeys.cancel(owner);
      return remove(ctx, owner, noted);
    },
    async resume() {
      await apiKeys.resume();
      const pollMs = settings.AIRLOCK_CREDENTIAL_POLL_S * 1000;
      const healthMs = Math.min(settings.AIRLOCK_HEALTH_INTERVAL_S, 60) * 1000;
      loops.push(
        startLoop({ name: 'look into CLI VMs', everyMs: pollMs, atOnce: true, turn: () => beginLooks(ctx), log }),
        startLoop({ name: 'checks that are due', everyMs: healthMs, atOnce: true, turn: checks.due, log }),
      );
    },
    async close() {
      lifetime.abort(new AppError('shutting_down', 'The controller is shutting down.'));
      await Promise.all([...loops.map((loop) => loop.stop()), apiKeys.close()]);
      await Promise.all([ctx.background.settled(), checks.settled()]);
    },
  };
}

interface Ctx extends CustodianDeps {
  reach: Reach;
  /** Looks that the loop has begun. */
  background: Background;
}

async function cliVm({ vms }: CustodianDeps, vmId: string): Promise<VmRow> {
  const vm = await vms.get(vmId);
  if (vm?.kind === 'cli') return vm;
  throw new AppError('not_found', `There is no CLI VM ${vmId}.`);
}

async function syncOne(ctx: Ctx, vmId: string): Promise<SyncReport[]> {
  return ctx.guard.sync(await cliVm(ctx, vmId), ctx.reach);
}

const runningClis = async ({ vms }: CustodianDeps): Promise<VmRow[]> =>
  (await vms.list(null)).filter(({ kind, state }) => kind === 'cli' && state === 'running');

/** Waits as long as the slowest one may take. */
async function syncAll(ctx: Ctx): Promise<void> {
  await Promise.all((await runningClis(ctx)).map((vm) => ctx.guard.syncQuietly(vm, ctx.reach)));
}

/** Begins to look into every running CLI VM that nobody looks into, and waits for none: one that hangs delays itself alone. */
async function beginLooks(ctx: Ctx): Promise<void> {
  for (const vm of await runningClis(ctx)) {
    if (!ctx.guard.isBusy(vm.id))
      ctx.background.own(ctx.guard.syncQuietly(vm, ctx.reach), 'a look into a CLI VM failed', { vmId: vm.id });
  }
}

type Staged = Owner & { lineage: number };

async function deliverTo(ctx: Ctx, vmId: string, staged: Staged, signal: AbortSignal): Promise<void> {
  const { vault, vms, guard, log } = ctx;
  const vm = await cliVm(ctx, vmId);
  await guard.inTurn(vmId, { vms, signal }, async (guest) => {
    await tend(vm, { vault, log, guest });
    const { row, custody } = await find(vault, staged);
    await give({ vm, guest: await guest(vmId), custody }, row, { vault });
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
  const isBehind = ({ confirmed, holderVmId, lookError }: CustodyRow): boolean =>
    !confirmed && (lookError !== '' || !running.has(holderVmId ?? ''));
  const custody = (await vault.custody(null)).filter(isBehind);
  const isOf = (one: Owner, other: Owner): boolean => one.userId === other.userId && one.provider === other.provider;
  const active = (await vault.list(null)).filter(({ state }) => state === 'active');
  return active.filter((row) => custody.some((held) => isOf(row, held))).length;
}

async function remove(
  { vault, vms, guard, reach }: Ctx,
  owner: Owner,
  noted?: Noted<Owner>,
): ReturnType<Custodian['remove']> {
  if (!(await vault.remove(owner, noted)))
    throw new AppError('not_found', `There is no ${owner.provider} credential to remove.`);
  const held = (await vault.custody(owner.userId)).find(({ provider }) => provider === owner.provider);
  const holder = await vms.get(held?.holderVmId ?? '');
  if (!holder || ['failed', 'destroying', 'destroyed'].includes(holder.state)) return { cliVm: 'none' };
  const isDone = holder.state === 'running' && (await guard.syncQuietly(holder, reach));
  return { cliVm: isDone ? 'removed' : 'pending' };
}

/** Stands at the start and the end of each CLI VM, and looks into one VM at a time: what the custodian and the VMs share. */
import type { Logger } from 'pino';
import { raceAbort, startLimit } from '@airlock/contract/deadline';
import { AppError, type ErrorCode } from '@airlock/contract/errors';
import type { CheckResult } from '@airlock/contract/guest';
import { withSignal, type JsonClient } from '@airlock/contract/http-client';
import { providers } from '@airlock/contract/provider/registry';
import { createQueue, type Queue } from '../lib/keyed.js';
import type { CustodyNote, CustodyRow, Vault } from '../vault/vault.js';
import { whileUnanswered } from '../vm/patience.js';
import type { CliGuard, Reach, VmRow } from '../vm/vm.js';
import { prove } from './check.js';
import type { SyncReport } from './custodian.js';
import { proofError } from './health.js';
import { tend, type TendDeps } from './tend.js';

export interface CredentialGuard extends CliGuard {
  /**
   * Does `work` while nobody else looks into this VM, in the order of the calls; with calls to guests that end by themselves, so that
   * whatever the guest does, the next one has its turn.
   */
  inTurn<T>(vmId: string, reach: Reach, work: (guest: TendDeps['guest']) => Promise<T>): Promise<T>;
  /** Whether somebody looks into this VM now, or waits for that. */
  isBusy(vmId: string): boolean;
  /** As `Custodian.sync`. What keeps the VM from being looked into is told of what it holds. */
  sync(vm: VmRow, reach: Reach): Promise<SyncReport[]>;
  /** False when the VM could not be looked into, or holds what must not be stored. Never rejects. */
  syncQuietly(vm: VmRow, reach: Reach): Promise<boolean>;
}

export interface GuardDeps {
  vault: Vault;
  log: Logger;
  /** Milliseconds for one look into a VM, and for its last one together with the wait for its turn; 30 s by default. */
  lookMs?: number;
}

/** What is known to be no good is no reason to complain of the VM. */
const isExpectedGood = (custody: CustodyRow | undefined): boolean =>
  custody?.health !== 'needs_login' && custody?.health !== 'revoked';

/** Asks the CLI of each login that should be good. @throws AppError proof_failed, or why a CLI could not be asked */
async function proveAll({ id, userId }: VmRow, reach: Reach, vault: Vault): Promise<void> {
  const custody = await vault.custody(userId);
  for (const { provider, state } of await vault.list(userId)) {
    const held = custody.find((one) => one.provider === provider && one.holderVmId === id);
    if (state !== 'active' || !held || !isExpectedGood(held)) continue;
    const ask = (): Promise<CheckResult> => raceAbort(prove(reach.vms, id, { provider }), reach.signal);
    const proof = await whileUnanswered(reach, id, ask);
    if (proof.ok) continue;
    throw proofError(
      providers[provider],
      'its login',
      proof,
      'Sign in again if the CLI refuses it in the old root, too.',
    );
  }
}

/** Ends of a look that say nothing about the guest. */
const ofNoGuest: readonly ErrorCode[] = ['vm_not_running', 'not_found', 'aborted', 'shutting_down'];

interface Ctx extends Required<GuardDeps> {
  looks: Queue;
  /** VMs that this controller has looked into, and could: nothing is to be taken back. */
  seen: Set<string>;
}

/** Needs no VMs: it is given those that it is asked about. */
export function createCredentialGuard({ vault, log, lookMs = 30_000 }: GuardDeps): CredentialGuard {
  const ctx: Ctx = { vault, log, lookMs, looks: createQueue(), seen: new Set() };
  const guard: CredentialGuard = {
    inTurn: (vmId, reach, work) => inTurn(ctx, vmId, reach, work),
    isBusy: (vmId) => ctx.looks.has(vmId),
    sync: (vm, reach) => sync(ctx, vm, reach),
    syncQuietly: (vm, reach) => syncQuietly(ctx, vm, reach),
    starting: (vm) => noteAll(ctx, vm, { confirmed: false }),
    ready: async (vm, reach) => void (await whileUnanswered(reach, vm.id, () => guard.sync(vm, reach))),
    proved: (vm, reach) => ctx.looks.run(vm.id, () => proveAll(vm, reach, vault)),
    ending: (vm, reach) => ending(ctx, vm, reach),
  };
  return guard;
}

function inTurn<T>(
  { looks, lookMs }: Ctx,
  vmId: string,
  { vms, signal }: Reach,
  work: (guest: TendDeps['guest']) => Promise<T>,
): Promise<T> {
  return looks.run(vmId, async () => {
    const late = (): AppError =>
      new AppError('guest_unreachable', `VM ${vmId} could not be looked into within ${lookMs / 1000} s.`);
    const limit = startLimit(lookMs, late, signal);
    const guest = async (id: string): Promise<JsonClient> => withSignal(await vms.guest(id), limit.signal);
    try {
      return await work(guest);
    } finally {
      limit.end();
    }
  });
}

async function sync(ctx: Ctx, vm: VmRow, reach: Reach): Promise<SyncReport[]> {
  const { vault, log, seen } = ctx;
  try {
    const reports = await inTurn(ctx, vm.id, reach, (guest) => tend(vm, { vault, log, guest }));
    if (!seen.has(vm.id)) await noteAll(ctx, vm, { lookError: '' });
    seen.add(vm.id);
    return reports;
  } catch (error) {
    const { code, message } = AppError.from(error);
    if (!ofNoGuest.includes(code)) await noteAll(ctx, vm, { lookError: message });
    throw error;
  }
}

async function syncQuietly(ctx: Ctx, vm: VmRow, reach: Reach): Promise<boolean> {
  try {
    return (await sync(ctx, vm, reach)).every(({ result }) => result !== 'conflict');
  } catch (error) {
    const { code, message } = AppError.from(error);
    ctx.log.warn({ vmId: vm.id, code, reason: message }, 'the credentials of a CLI VM could not be looked after');
    return false;
  }
}

/** The last look, which nothing waits for any longer than for any other: who looks at the VM already may hang. */
async function ending(ctx: Ctx, vm: VmRow, { vms, signal }: Reach): Promise<void> {
  const { lookMs, log } = ctx;
  const late = (): AppError =>
    new AppError('guest_unreachable', `VM ${vm.id} could not be looked into a last time within ${lookMs / 1000} s.`);
  const limit = startLimit(lookMs, late, signal);
  const { signal: over } = limit;
  try {
    const isRead = await raceAbort(syncQuietly(ctx, vm, { vms, signal: over }), over);
    if (isRead) await noteAll(ctx, vm, { confirmed: true });
  } catch (error) {
    const { code, message } = AppError.from(error);
    log.warn({ vmId: vm.id, code, reason: message }, 'a CLI VM ends without a last look at its credentials');
    await noteAll(ctx, vm, { lookError: message });
  } finally {
    limit.end();
    ctx.seen.delete(vm.id);
  }
}

/** Of all that the VM holds; what is known already is not written again. */
async function noteAll(
  ctx: Ctx,
  { id, userId }: VmRow,
  values: Pick<CustodyNote, 'confirmed' | 'lookError'>,
): Promise<void> {
  if (values.lookError) ctx.seen.delete(id);
  for (const held of await ctx.vault.custody(userId)) {
    const isKnown =
      held.confirmed === (values.confirmed ?? held.confirmed) &&
      held.lookError === (values.lookError ?? held.lookError);
    if (held.holderVmId === id && !isKnown) await ctx.vault.note(held, values);
  }
}

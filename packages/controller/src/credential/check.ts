/** Asks the CLI itself whether its login works: on demand, and now and then. */
import type { Logger } from 'pino';
import type { CredentialSummary } from '@airlock/contract/api';
import { createBackground, type Background } from '@airlock/contract/background';
import { raceAbort } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import { proofName, type CheckResult } from '@airlock/contract/guest';
import { refusalIn } from '@airlock/contract/provider/refusal';
import { providers } from '@airlock/contract/provider/registry';
import type { Settings } from '@airlock/contract/settings';
import { createShared, type Shared } from '../lib/keyed.js';
import type { Vms, VmRow } from '../vm/vm.js';
import type { CredentialRow, CustodyRow, Owner, Vault } from '../vault/vault.js';
import type { PromptEnd } from './custodian.js';
import { expiryOf, findingByExpiry, findingOf, findingOfPrompt, isOutweighed } from './health.js';
import { summaries } from './summary.js';

export interface CheckDeps {
  vault: Vault;
  vms: Vms;
  settings: Pick<Settings, 'AIRLOCK_HEALTH_INTERVAL_S' | 'AIRLOCK_HEALTH_MAX_AGE_S'>;
  log: Logger;
  sync(vmId: string): Promise<unknown>;
  signal: AbortSignal;
}

/** The CLI's own word on its login. */
export const prove = (
  vms: Pick<Vms, 'runCheck'>,
  vmId: string,
  { provider }: Pick<Owner, 'provider'>,
): Promise<CheckResult> => vms.runCheck(vmId, proofName(provider));

export function createChecks(deps: CheckDeps): {
  check(owner: Owner): Promise<CredentialSummary>;
  /** Begins to check what is due, user by user, and waits for no VM. Never rejects. */
  due(): Promise<void>;
  /** Resolves when none is under way any more that `due` has begun. */
  settled(): Promise<void>;
} {
  const ctx: DueContext = {
    ...deps,
    checking: createShared(),
    background: createBackground(deps.log),
    waking: new Set(),
  };
  return {
    check: (owner) => check(deps, owner),
    due: () => beginDue(ctx),
    settled: () => ctx.background.settled(),
  };
}

async function check(deps: CheckDeps, owner: Owner): Promise<CredentialSummary> {
  const { vault, vms, signal } = deps;
  await activeRow(deps, owner);
  await vms.ensureCli(owner.userId, null, () => undefined, signal);
  await checkInUse(deps, owner);
  const { userId, provider } = owner;
  const all = summaries(await vault.list(userId), await vault.custody(userId), await vms.list(userId));
  const found = all.find((one) => one.provider === provider && one.state === 'active');
  if (found) return found;
  throw new AppError('not_found', `The ${provider} credential was removed while it was checked.`);
}

async function activeRow({ vault }: CheckDeps, { userId, provider }: Owner): Promise<CredentialRow> {
  const row = (await vault.list(userId)).find((one) => one.provider === provider && one.state === 'active');
  if (row) return row;
  throw new AppError('not_found', `There is no ${provider} credential to check.`, { hint: 'Connect it first.' });
}

/** Counts as a use of the CLI VM, so that it is not stopped as idle in the middle. */
async function checkInUse(deps: CheckDeps, owner: Owner): Promise<void> {
  const { vm, ended, release } = await deps.vms.useCli(owner.userId, () => undefined, deps.signal);
  try {
    await checkIn(deps, vm, owner);
  } catch (error) {
    throw ended.aborted ? ended.reason : error;
  } finally {
    await release();
  }
}

async function checkIn(deps: CheckDeps, vm: VmRow, owner: Owner): Promise<void> {
  const { vault, vms, signal } = deps;
  const proof = await raceAbort(prove(vms, vm.id, owner), signal);
  // Asking may have made the CLI refresh it.
  await deps.sync(vm.id);
  const expiry = expiryOf(await vault.read(await activeRow(deps, owner)));
  const known = (await vault.custody(owner.userId)).find(({ provider }) => provider === owner.provider);
  const isKept = isOutweighed(proof, known);
  const refusal = refusalIn(providers[owner.provider].login, proof.output);
  await vault.note(owner, { ...(!isKept && findingOf(proof, expiry, Date.now(), refusal)), checkedAt: new Date() });
}

/** A prompt begins with the login that is active now: the answer takes what its end says of that login, and of no later one. */
export async function listen({ vault }: Pick<CheckDeps, 'vault'>, owner: Owner): Promise<PromptEnd> {
  const active = async (): Promise<CredentialRow | undefined> =>
    (await vault.list(owner.userId)).find((one) => one.provider === owner.provider && one.state === 'active');
  const lineage = (await active())?.lineage;
  return async (failure) => {
    const row = await active();
    if (row === undefined || row.lineage !== lineage) return;
    const expiry = expiryOf(await vault.read(row));
    const finding = findingOfPrompt(providers[owner.provider], failure, expiry, Date.now());
    if (finding) await vault.note(owner, { ...finding, checkedAt: new Date() });
  };
}

interface DueContext extends CheckDeps {
  /** By user: checks under way. */
  checking: Shared<void>;
  background: Background;
  /** Users whose CLI VM is being started for a check. */
  waking: Set<string>;
}

/** So many CLI VMs are started for checks at a time: they may all be due in the same moment. */
const wakesAtOnce = 4;

async function beginDue(ctx: DueContext): Promise<void> {
  const { vault, log, checking, background } = ctx;
  try {
    const custody = await vault.custody(null);
    const active = (await vault.list(null)).filter(({ state }) => state === 'active');
    for (const userId of new Set(active.map((row) => row.userId))) {
      const isOfUser = (one: Owner): boolean => one.userId === userId;
      if (checking.has(userId)) continue;
      const work = (): Promise<void> => checkDue(ctx, active.filter(isOfUser), custody.filter(isOfUser));
      background.own(checking.run(userId, work), 'the checks of a user failed', { userId });
    }
  } catch (error) {
    log.error({ err: error }, 'credentials could not be checked');
  }
}

/** Those of one user, one after the other. Never rejects. */
async function checkDue(
  ctx: DueContext,
  active: readonly CredentialRow[],
  custody: readonly CustodyRow[],
): Promise<void> {
  const { log, signal } = ctx;
  const tell = ({ userId, provider }: Owner, error: unknown): void => {
    const { code, message } = AppError.from(error);
    log.warn({ userId, provider, code, reason: message }, 'a credential could not be checked');
  };
  for (const row of active) {
    if (signal.aborted) return;
    const held = custody.find(({ provider }) => provider === row.provider);
    await checkWhenDue(ctx, row, held).catch((error: unknown) => tell(row, error));
  }
}

async function checkWhenDue(ctx: DueContext, row: CredentialRow, held: CustodyRow | undefined): Promise<void> {
  const { vault, vms, settings, waking } = ctx;
  const age = Date.now() - (held?.checkedAt ?? row.updatedAt).getTime();
  if (age < settings.AIRLOCK_HEALTH_INTERVAL_S * 1000) return;
  const vm = (await vms.list(row.userId)).find(({ kind, state }) => kind === 'cli' && state === 'running');
  if (vm) return checkInUse(ctx, row);
  if (age >= settings.AIRLOCK_HEALTH_MAX_AGE_S * 1000 && waking.size < wakesAtOnce) {
    waking.add(row.userId);
    return void (await check(ctx, row).finally(() => waking.delete(row.userId)));
  }
  const byExpiry = findingByExpiry(expiryOf(await vault.read(row)), Date.now());
  if (byExpiry && byExpiry.health !== held?.health) await vault.note(row, byExpiry);
}

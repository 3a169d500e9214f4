/** What the rows of VMs say of their roots, and of the replacement of one. */
import { and, eq, isNotNull, isNull, inArray, or, sql } from 'drizzle-orm';
import type { VmUpdateState } from '@airlock/contract/api';
import type { VmRoot } from '@airlock/contract/runner';
import type { RowContext } from '../rows.js';
import { vms, type RootUpdate } from '../table.js';
import { activeStates } from '../transitions.js';
import type { VmRow } from '../vm.js';

type Patch = Partial<Omit<RootUpdate, 'since'>>;

/** States in which the old root is in use, and the new one may be made. */
export const beforeSwap: readonly VmUpdateState[] = ['waiting', 'copying', 'copied'];

/** States of a replacement that has not come to its end. */
export const underWay: readonly VmUpdateState[] = [...beforeSwap, 'proving'];

const stateOf = sql<VmUpdateState>`${vms.rootUpdate} ->> 'state'`;
const isLive = inArray(vms.state, [...activeStates.filter((state) => state !== 'destroying'), 'stopped']);
const isCli = and(eq(vms.kind, 'cli'), isLive);

/** Notes that another root is wanted, unless one is on its way; undefined then, and for a VM that has come to its end. */
export async function askForUpdate(
  { db }: RowContext,
  vmId: string,
  { kind, now, run }: Pick<RootUpdate, 'kind' | 'now' | 'run'>,
): Promise<VmRow | undefined> {
  const fresh = { kind, state: 'waiting', now, run, from: null, to: null, broken: 0, error: null } as const;
  const isFree = or(isNull(vms.rootUpdate), eq(stateOf, 'failed'));
  const rootUpdate = { ...fresh, since: Date.now() };
  const where = and(eq(vms.id, vmId), isCli, isFree);
  return (await db.update(vms).set({ rootUpdate }).where(where).returning())[0];
}

/** Asks for another root as a start does: it does not wait for anything then, and the VM runs in the end. */
export async function askToRun(ctx: RowContext, vmId: string): Promise<VmRow | undefined> {
  const wanted = { now: true, run: true } as const;
  return (await askForUpdate(ctx, vmId, { kind: 'update', ...wanted })) ?? patchUpdate(ctx, vmId, wanted, beforeSwap);
}

/** Changes members of the replacement while it is in one of `states`; undefined when it is in none of them, or the VM is gone. */
export async function patchUpdate(
  { db }: RowContext,
  vmId: string,
  patch: Patch,
  states: readonly VmUpdateState[],
): Promise<VmRow | undefined> {
  const all = { ...patch, ...(patch.state !== undefined && { since: Date.now() }) };
  const rootUpdate = sql<RootUpdate>`${vms.rootUpdate} || ${JSON.stringify(all)}::jsonb`;
  const where = and(eq(vms.id, vmId), isCli, inArray(stateOf, [...states]));
  return (await db.update(vms).set({ rootUpdate }).where(where).returning())[0];
}

/** The replacement has come to its good end, or there is nothing to replace; undefined when it is in none of `states`. */
export async function endUpdate(
  { db }: RowContext,
  vmId: string,
  states: readonly VmUpdateState[],
): Promise<VmRow | undefined> {
  const where = and(eq(vms.id, vmId), isCli, inArray(stateOf, [...states]));
  return (await db.update(vms).set({ rootUpdate: null }).where(where).returning())[0];
}

/** The one step between two roots: from `from` to `to`, of a VM that stands still. Undefined when it does not, or has another root. */
export async function swapRoots(
  { db }: RowContext,
  vmId: string,
  { from, to, patch }: { from: VmRoot; to: VmRoot; patch: Patch },
): Promise<VmRow | undefined> {
  const rootUpdate = sql<RootUpdate>`${vms.rootUpdate} || ${JSON.stringify({ ...patch, since: Date.now() })}::jsonb`;
  const where = and(
    ...[eq(vms.id, vmId), eq(vms.state, 'stopped'), isNotNull(vms.rootUpdate)],
    ...[eq(vms.rootNumber, from.number), eq(vms.imageId, from.imageId)],
  );
  const set = { imageId: to.imageId, rootNumber: to.number, rootUpdate, error: null };
  return (await db.update(vms).set(set).where(where).returning())[0];
}

/** CLI VMs with a replacement that is under way: those first that are not to wait, then the oldest. */
export async function updating({ db }: RowContext): Promise<VmRow[]> {
  const isUnderWay = and(isCli, inArray(stateOf, [...underWay]));
  const order = [sql`(${vms.rootUpdate} ->> 'now') desc`, sql`(${vms.rootUpdate} ->> 'since')::numeric`];
  return db
    .select()
    .from(vms)
    .where(isUnderWay)
    .orderBy(...order);
}

/** All CLI VMs that are kept, also those that stand still. */
export async function liveClis({ db }: RowContext): Promise<VmRow[]> {
  return db.select().from(vms).where(isCli).orderBy(vms.createdAt);
}

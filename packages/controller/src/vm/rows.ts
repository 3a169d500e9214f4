/** VM rows: the one function that applies an event, persists it and tells listeners; nothing else changes a state. */
import type { EventEmitter } from 'node:events';
import { and, eq, gt, inArray, isNotNull, isNull, lte, ne, notInArray, or, sql, type SQL } from 'drizzle-orm';
import type { VmState } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import { newId } from '@airlock/contract/ids';
import type { VmUsers } from '@airlock/contract/privileged';
import type { Database } from '../store/store.js';
import { vms } from './table.js';
import { activeStates, finalStates, firstState, isFinal, waysOf, type VmEvent } from './transitions.js';
import type { VmRow } from './vm.js';

/** What every change of a state is told to: by the VM's id, and as `any`. Arguments: the row as it is then, and the event. */
export type VmChanges = EventEmitter<Record<string, [row: VmRow, event: VmEvent]>>;

export interface RowContext {
  db: Database;
  changes: VmChanges;
}

/** A VM that failed or was destroyed is listed this long, in ms. */
const listedMs = 3_600_000;

export const noTimings: VmRow['timings'] = { vncMs: null, agentMs: null, readyMs: null };

export interface NewVm {
  /** null: nobody's. */
  userId: string | null;
  sessionId: string | null;
  destroyAt: Date | null;
}

/** Columns that an event may set. */
export type VmPatch = Partial<
  Pick<
    VmRow,
    | 'userId'
    | 'sessionId'
    | 'bornWith'
    | 'epoch'
    | 'vmUser'
    | 'accel'
    | 'countMs'
    | 'network'
    | 'driver'
    | 'driverReason'
    | 'timings'
    | 'error'
    | 'readyAt'
    | 'lastUsedAt'
    | 'destroyAt'
  >
>;

export interface VmChange {
  patch?: VmPatch;
  /** Asked of the row as it is at the moment of the change. */
  when?: SQL | undefined;
}

export const newVmId = (): string => newId('vm');

const notFinal = notInArray(vms.state, [...finalStates]);

export async function get({ db }: RowContext, vmId: string): Promise<VmRow | undefined> {
  return (await db.select().from(vms).where(eq(vms.id, vmId)))[0];
}

export async function insert(
  { db }: { db: Pick<Database, 'insert'> },
  vm: NewVm & Pick<VmRow, 'id' | 'kind' | 'imageId' | 'rootNumber' | 'accel'>,
): Promise<VmRow> {
  const values = { ...vm, state: firstState, timings: noTimings };
  const [row] = await db.insert(vms).values(values).returning();
  if (!row) throw new Error('INSERT … RETURNING gave no row');
  return row;
}

/**
 * Applies `event` in one statement. Undefined when the VM's state does not allow it, or `when` says no: nothing is changed
 * then. Of two events that exclude one another, one is applied, whoever sends them.
 */
export async function apply(
  { db, changes }: RowContext,
  vmId: string,
  event: VmEvent,
  { patch = {}, when }: VmChange = {},
): Promise<VmRow | undefined> {
  const ways = waysOf(event);
  const from = ways.map(([state]) => state);
  // A VM that has come to its end was destroyed now, whenever that had been planned for.
  const isEnd = ways.every(([, next]) => isFinal(next));
  const cases = ways.map(([state, next]) => sql`when ${state} then ${next}`);
  const [row] = await db
    .update(vms)
    .set({
      ...patch,
      ...(isEnd && { destroyAt: new Date() }),
      state: sql<VmState>`case ${vms.state} ${sql.join(cases, sql` `)} end`,
    })
    .where(and(eq(vms.id, vmId), inArray(vms.state, from), when))
    .returning();
  if (!row) return undefined;
  changes.emit(vmId, row, event);
  changes.emit('any', row, event);
  return row;
}

/** The first user id of the range that no VM has which may be running. @throws AppError vm_ids_exhausted */
export async function freeVmUser({ db }: RowContext, { first, last }: VmUsers): Promise<number> {
  const isFree = sql`not exists (select from ${vms} where ${vms.vmUser} = candidate and ${inArray(vms.state, [...activeStates])})`;
  const { rows } = await db.execute<{ id: string | null }>(
    sql`select min(candidate) as id from generate_series(${first}::bigint, ${last}::bigint) as candidate where ${isFree}`,
  );
  const id = rows[0]?.id ?? null;
  if (id !== null) return Number(id);
  throw new AppError('vm_ids_exhausted', `All user ids from ${first} to ${last} are those of VMs that run.`, {
    hint: 'End VMs, or give the privileged helper a larger range: --ids FIRST-LAST in its unit; then restart the controller.',
  });
}

/** For `when`: the runner that says so is the one of the newest start. */
export const ofEpoch = (epoch: number): SQL => eq(vms.epoch, epoch);

/** For `when`: no sign-in was faster. */
export const isNobodys = isNull(vms.userId);

/** For `when`: nothing was done in the VM, nor with it, since `before`. */
export const unusedSince = (before: Date): SQL =>
  lte(sql`greatest(${vms.lastUsedAt}, ${vms.readyAt}, ${vms.createdAt})`, before);

export async function noteTimings({ db }: RowContext, vmId: string, timings: VmRow['timings']): Promise<void> {
  const where = and(eq(vms.id, vmId), inArray(vms.state, ['starting', 'running']));
  await db.update(vms).set({ timings }).where(where);
}

/** Notes that the VM is used now; undefined when it is not running. */
export async function touch({ db }: RowContext, vmId: string): Promise<VmRow | undefined> {
  const where = and(eq(vms.id, vmId), eq(vms.state, 'running'));
  return (await db.update(vms).set({ lastUsedAt: new Date() }).where(where).returning())[0];
}

export async function scheduleDestroy({ db }: RowContext, vmId: string, at: Date): Promise<void> {
  const where = and(eq(vms.id, vmId), notFinal);
  await db.update(vms).set({ destroyAt: at }).where(where);
}

/** Running CLI VMs that nothing was done in since `before`. */
export async function idle({ db }: RowContext, before: Date): Promise<VmRow[]> {
  const where = and(eq(vms.kind, 'cli'), eq(vms.state, 'running'), unusedSince(before));
  return db.select().from(vms).where(where);
}

/** VMs that are being stopped, to be kept. */
export async function stopping({ db }: RowContext): Promise<VmRow[]> {
  return db.select().from(vms).where(eq(vms.state, 'stopping'));
}

/** VMs that are being removed, or whose time has come. */
export async function due({ db }: RowContext): Promise<VmRow[]> {
  const isDue = and(isNotNull(vms.destroyAt), lte(vms.destroyAt, new Date()), notFinal);
  return db
    .select()
    .from(vms)
    .where(or(eq(vms.state, 'destroying'), isDue));
}

/** The user's CLI VM, unless it failed or was destroyed. */
export async function liveCli({ db }: RowContext, userId: string): Promise<VmRow | undefined> {
  const where = and(eq(vms.userId, userId), eq(vms.kind, 'cli'), notFinal);
  return (await db.select().from(vms).where(where))[0];
}

/** The user's browser VMs, unless they failed or were destroyed. */
export async function browsersOf({ db }: RowContext, userId: string): Promise<VmRow[]> {
  const where = and(eq(vms.userId, userId), eq(vms.kind, 'browser'), notFinal);
  return db.select().from(vms).where(where);
}

/** Browser VMs that nobody has, on their way or waiting, the oldest first. */
export async function nobodys({ db }: RowContext): Promise<VmRow[]> {
  const where = and(isNobodys, inArray(vms.state, ['creating', 'starting', 'waiting']));
  return db.select().from(vms).where(where).orderBy(vms.createdAt);
}

/** Rows whose VM may be running, or is being made or removed. */
export async function active({ db }: RowContext): Promise<VmRow[]> {
  return db
    .select()
    .from(vms)
    .where(inArray(vms.state, [...activeStates]));
}

/** When a VM that failed or was destroyed came to its end; older versions did not note it of those that failed. */
const endedAt = sql`greatest(${vms.destroyAt}, ${vms.createdAt}, ${vms.readyAt})`;

/** All VMs of a user, or of everybody with null; failed and destroyed ones only of the last hour. */
export async function list({ db }: RowContext, userId: string | null): Promise<VmRow[]> {
  const recent = or(notFinal, gt(endedAt, new Date(Date.now() - listedMs)));
  return db
    .select()
    .from(vms)
    .where(userId === null ? recent : and(eq(vms.userId, userId), recent))
    .orderBy(vms.createdAt);
}

/** Ids of all VMs that may own something. */
export async function ownerIds({ db }: RowContext): Promise<Set<string>> {
  const rows = await db.select({ id: vms.id }).from(vms).where(ne(vms.state, 'destroyed'));
  return new Set(rows.map((row) => row.id));
}

/** Removes the rows of VMs that came to their end before `before`; answers their ids. */
export async function removeEnded({ db }: RowContext, before: Date): Promise<string[]> {
  const where = and(inArray(vms.state, [...finalStates]), lte(endedAt, before));
  const removed = await db.delete(vms).where(where).returning({ id: vms.id });
  return removed.map(({ id }) => id);
}

/** Removes the rows of this user's VMs that came to their end. */
export async function removeEndedOf({ db }: RowContext, userId: string): Promise<void> {
  await db.delete(vms).where(and(eq(vms.userId, userId), inArray(vms.state, [...finalStates])));
}

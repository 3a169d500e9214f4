/** VM rows. State moves only from states that allow it, so that a late writer changes nothing. */
import {
  and,
  eq,
  gt,
  inArray,
  isNotNull,
  isNull,
  lte,
  ne,
  notExists,
  notInArray,
  or,
  sql,
  type SQL,
} from 'drizzle-orm';
import type { VmState } from '@airlock/contract/api';
import { newId } from '@airlock/contract/ids';
import { finalStatuses } from '@airlock/contract/session';
import type { Database } from '../store/store.js';
import { authSessions, users, vms } from '../store/schema.js';
import type { VmRow } from './vm.js';

const finalStates: VmState[] = ['failed', 'destroyed'];
const openStates: VmState[] = ['creating', 'starting', 'running', 'stopping', 'stopped'];
/** States in which something of the VM runs, or is being made. */
const activeStates: VmState[] = ['creating', 'starting', 'running', 'stopping'];
/** A VM that failed or was destroyed is listed this long, in ms. */
const listedMs = 3_600_000;

export const noTimings: VmRow['timings'] = { vncMs: null, agentMs: null, readyMs: null };

export interface NewVm {
  userId: string;
  sessionId: string | null;
  destroyAt: Date | null;
}

export interface VmRows {
  get(vmId: string): Promise<VmRow | undefined>;
  insert(vm: NewVm & Pick<VmRow, 'id' | 'kind' | 'imageId' | 'accel' | 'homeKeySealed'>): Promise<VmRow>;
  /** Moves a VM to `state` when it is in one of `from` (any that is not final); undefined when it is not. */
  move(vmId: string, state: VmState, more?: Partial<VmRow>, from?: VmState[]): Promise<VmRow | undefined>;
  /** Notes that the VM is used now; undefined when it is not running. */
  touch(vmId: string): Promise<VmRow | undefined>;
  /** Running CLI VMs that nothing was done in, nor for, since `before`. */
  idle(before: Date): Promise<VmRow[]>;
  /** Moves a CLI VM to `stopping` if it is still idle; undefined when it is not. */
  moveIdle(vmId: string, before: Date): Promise<VmRow | undefined>;
  /** CLI VMs that are being stopped, to be kept. */
  stopping(): Promise<VmRow[]>;
  scheduleDestroy(vmId: string, at: Date): Promise<void>;
  /** The user's CLI VM, unless it failed or was destroyed. */
  liveCli(userId: string): Promise<VmRow | undefined>;
  /** Rows whose VM may be running. */
  active(): Promise<VmRow[]>;
  /** Rows whose time of destruction has come. */
  due(): Promise<VmRow[]>;
  list(userId: string | null): Promise<VmRow[]>;
  /** Ids of all VMs that may own something on this host. */
  ownerIds(): Promise<Set<string>>;
  /** The user's own port at the upstream proxy. */
  proxyPort(userId: string): Promise<number>;
}

export const newVmId = (): string => newId('vm');

export function createVmRows(db: Database): VmRows {
  const notFinal = notInArray(vms.state, finalStates);
  /** A sign-in that is under way, or has just ended, uses the CLI VM as well. */
  const isIdle = (before: Date): SQL | undefined =>
    and(
      eq(vms.kind, 'cli'),
      eq(vms.state, 'running'),
      lte(sql`greatest(${vms.lastUsedAt}, ${vms.readyAt}, ${vms.createdAt})`, before),
      notExists(
        db
          .select({ id: authSessions.id })
          .from(authSessions)
          .where(
            and(
              eq(authSessions.userId, vms.userId),
              or(notInArray(authSessions.status, [...finalStatuses]), gt(authSessions.updatedAt, before)),
            ),
          ),
      ),
    );
  return {
    async get(vmId) {
      return (await db.select().from(vms).where(eq(vms.id, vmId)))[0];
    },

    async insert(vm) {
      const [row] = await db
        .insert(vms)
        .values({ ...vm, state: 'creating', timings: noTimings })
        .returning();
      if (!row) throw new Error('INSERT … RETURNING gave no row');
      return row;
    },

    async move(vmId, state, more = {}, from = openStates) {
      const where = and(eq(vms.id, vmId), inArray(vms.state, from));
      return (
        await db
          .update(vms)
          .set({ ...more, state })
          .where(where)
          .returning()
      )[0];
    },

    async touch(vmId) {
      const where = and(eq(vms.id, vmId), eq(vms.state, 'running'));
      return (await db.update(vms).set({ lastUsedAt: new Date() }).where(where).returning())[0];
    },

    idle: async (before) => db.select().from(vms).where(isIdle(before)),

    async moveIdle(vmId, before) {
      const where = and(eq(vms.id, vmId), isIdle(before));
      return (await db.update(vms).set({ state: 'stopping' }).where(where).returning())[0];
    },

    stopping: async () =>
      db
        .select()
        .from(vms)
        .where(and(eq(vms.kind, 'cli'), eq(vms.state, 'stopping'), isNull(vms.destroyAt))),

    async scheduleDestroy(vmId, at) {
      await db
        .update(vms)
        .set({ destroyAt: at })
        .where(and(eq(vms.id, vmId), notFinal));
    },

    async liveCli(userId) {
      return (
        await db
          .select()
          .from(vms)
          .where(and(eq(vms.userId, userId), eq(vms.kind, 'cli'), notFinal))
      )[0];
    },

    active: async () => db.select().from(vms).where(inArray(vms.state, activeStates)),

    due: async () =>
      db
        .select()
        .from(vms)
        .where(and(isNotNull(vms.destroyAt), lte(vms.destroyAt, new Date()), notFinal)),

    async list(userId) {
      const endedAt = sql`greatest(${vms.destroyAt}, ${vms.createdAt})`;
      const recent = or(notFinal, gt(endedAt, new Date(Date.now() - listedMs)));
      return db
        .select()
        .from(vms)
        .where(userId === null ? recent : and(eq(vms.userId, userId), recent))
        .orderBy(vms.createdAt);
    },

    async ownerIds() {
      const rows = await db.select({ id: vms.id }).from(vms).where(ne(vms.state, 'destroyed'));
      return new Set(rows.map((row) => row.id));
    },

    async proxyPort(userId) {
      const [user] = await db.select({ port: users.proxyPort }).from(users).where(eq(users.id, userId));
      if (!user) throw new Error(`no user ${userId}`);
      return user.port;
    },
  };
}

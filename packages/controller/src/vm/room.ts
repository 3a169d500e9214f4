/**
 * Room on the host for VMs that are to be made or started, and for disks. It is looked at and taken in one turn: the row that is
 * written then says that it is taken, until the host itself knows. The browser VM of a sign-in takes room for the CLI VM along.
 */
import {
  cliDisksMib,
  needOf,
  requireDisk,
  requireRoom,
  roomLeft,
  type Amounts,
  type HostCapacity,
  type VmSize,
  type VmUse,
} from '@airlock/contract/capacity';
import type { ImageManifest } from '@airlock/contract/image';
import { AppError } from '@airlock/contract/errors';
import { quotaExceeded } from '../lib/quota.js';
import type { VmContext } from './context.js';
import { destroyNobodys } from './end.js';
import { updating } from './root/rows.js';
import * as rows from './rows.js';
import { ownerOf, type VmRow } from './vm.js';

const mib = 1024 * 1024;
const gibMib = 1024;
/** There is one host, so all turns are of one key. */
const host = 'host';

/** What room is asked for. */
export interface Wanted {
  /** null: nobody's. */
  userId: string | null;
  /** A new browser VM. */
  browser: boolean;
  /** One that waits, and has its room. */
  assigned?: boolean;
  /** The user's CLI VM, as far as it does not have its room already. */
  cli: boolean;
}

/**
 * Whether the host has room for what is wanted, once VMs that nobody has made way; nothing is taken.
 * @throws AppError quota_exceeded, image_missing, image_corrupt, capacity_exhausted, disk_full
 */
export async function checkRoom(ctx: VmContext, wanted: Wanted): Promise<void> {
  for (;;) {
    try {
      return await checkOnce(ctx, wanted);
    } catch (error) {
      const isFull = error instanceof AppError && error.code === 'capacity_exhausted';
      if (!isFull || wanted.userId === null || !(await dropOne(ctx))) throw error;
    }
  }
}

/** VMs that nobody has make room for somebody. False: there is none. */
async function dropOne(ctx: VmContext): Promise<boolean> {
  for (const { id } of await rows.nobodys(ctx)) {
    if (!(await destroyNobodys(ctx, id))) continue;
    ctx.log.info({ vmId: id }, 'a VM that nobody had has made room');
    return true;
  }
  return false;
}

async function checkOnce(ctx: VmContext, wanted: Wanted): Promise<void> {
  const { userId } = wanted;
  if (userId !== null && (wanted.browser || wanted.assigned)) await requireQuota(ctx, userId);
  const capacity = await ctx.engine.capacity();
  const cliOwner = wanted.cli && userId !== null ? userId : undefined;
  const expected = await expectedOf(ctx, capacity, cliOwner);
  const needs = wanted.browser ? [needOf(sizeOf(ctx))] : [];
  const cli = cliOwner === undefined ? undefined : await needOfCli(ctx, cliOwner);
  if (cli) needs.push(beyondHeld(cli.need, capacity, cli.vmId));
  requireRoom(needs.filter(isSome), roomLeft(capacity, expected));
}

/**
 * Does `take`, which writes that VMs are to be made or started, if there is room for them.
 * @throws AppError as `checkRoom`: `take` was not done
 */
export function takeRoom<T>(ctx: VmContext, wanted: Wanted, take: () => Promise<T>): Promise<T> {
  return ctx.room.run(host, async () => {
    await checkRoom(ctx, wanted);
    return take();
  });
}

/**
 * Does `take`, which writes that a root of an image is being copied for a CLI VM (`rootUpdate`), if the disk has room for it beside all
 * that the VM has.
 * @throws AppError disk_full: `take` was not done
 */
export function takeRoomForRoot<T>(
  ctx: VmContext,
  { id }: VmRow,
  { artefacts }: Pick<ImageManifest, 'artefacts'>,
  take: () => Promise<T>,
): Promise<T> {
  return ctx.room.run(host, async () => {
    await checkDisk(ctx, `Another root for the CLI VM ${id} needs`, artefacts.rootfs.size);
    return take();
  });
}

/**
 * Says that a home of so many bytes, with a root, is arriving as the VM `vmId`, which has no row yet, if the disk has room for it. It
 * is counted until `ctx.arriving` forgets it.
 * @throws AppError disk_full
 */
export function takeRoomForHome(ctx: VmContext, vmId: string, bytes: number): Promise<void> {
  return ctx.room.run(host, async () => {
    await checkDisk(ctx, 'The disks of the restored CLI VM need', bytes);
    ctx.arriving.set(vmId, mibOf(bytes));
  });
}

/** `what`: the beginning of a sentence, such as `A disk needs`. @throws AppError disk_full where there is no room for so many bytes */
export async function checkDisk(ctx: VmContext, what: string, bytes: number): Promise<void> {
  const capacity = await ctx.engine.capacity();
  requireDisk(what, mibOf(bytes), roomLeft(capacity, await expectedOf(ctx, capacity)));
}

/**
 * Makes the home of a CLI VM that stands still as large as the settings say. Where the disk has no room for that, the VM goes on
 * with the home that it has.
 */
export function growHome(ctx: VmContext, { id }: VmRow): Promise<void> {
  return ctx.room.run(host, async () => {
    const capacity = await ctx.engine.capacity();
    const homeMib = heldBy(capacity, id)?.disks.homeMib ?? 0;
    const gib = ctx.settings.AIRLOCK_HOME_DISK_GIB;
    const growth = gib * gibMib - homeMib;
    // The start says what is wrong with a home that is not there.
    if (growth <= 0 || homeMib === 0) return;
    const { diskMib: freeMib } = roomLeft(capacity, await expectedOf(ctx, capacity));
    if (growth <= freeMib) await ctx.engine.growHome(id, gib);
    else
      ctx.log.warn({ vmId: id, homeMib, gib, freeMib }, 'the disk has no room for a home as large as the settings say');
  });
}

/** @throws AppError quota_exceeded */
async function requireQuota(ctx: VmContext, userId: string): Promise<void> {
  const limit = ctx.settings.AIRLOCK_USER_VMS;
  const all = await rows.browsersOf(ctx, userId);
  if (all.length < limit) return;
  const ends = all.map(({ destroyAt }) => destroyAt?.getTime() ?? Infinity);
  const first = Math.min(...ends);
  const what = 'browser VMs at a time';
  throw quotaExceeded(
    { name: 'vms', limit, what, setting: 'AIRLOCK_USER_VMS' },
    first === Infinity ? null : new Date(first),
  );
}

const heldBy = ({ vms }: HostCapacity, vmId: string | undefined): VmUse | undefined =>
  vms.find((vm) => vm.vmId === vmId);

const sizeOf = ({ settings, host: { accel } }: VmContext): VmSize => ({
  accel,
  memoryMib: settings.AIRLOCK_VM_MEMORY_MIB,
});
const mibOf = (bytes: number): number => Math.ceil(bytes / mib);
const rootMib = async ({ images }: VmContext): Promise<number> =>
  mibOf((await images.current()).manifest.artefacts.rootfs.size);
const isSome = ({ memoryMib, diskMib }: Amounts): boolean => memoryMib + diskMib > 0;
const isComing = ({ state }: VmRow): boolean => state === 'creating' || state === 'starting';

/** With disks of its own that do not exist yet. */
async function needOfNewCli(ctx: VmContext): Promise<Amounts> {
  const newDiskMib = cliDisksMib(ctx.settings.AIRLOCK_HOME_DISK_GIB, await rootMib(ctx));
  return needOf({ ...sizeOf(ctx), newDiskMib });
}

/** What the user's CLI VM is going to need, and the VM that it stands in for; undefined for one that is up or coming. */
async function needOfCli(
  ctx: VmContext,
  userId: string,
): Promise<{ vmId: string | undefined; need: Amounts } | undefined> {
  const row = await rows.liveCli(ctx, userId);
  if (!row || row.state === 'destroying') return { vmId: row?.id, need: await needOfNewCli(ctx) };
  const isStill = row.state === 'stopped' || row.state === 'stopping';
  return isStill ? { vmId: row.id, need: needOf(sizeOf(ctx)) } : undefined;
}

/** What is needed beyond what the VM still has on the host: it lets go of that before it is started, or made anew. */
function beyondHeld(need: Amounts, capacity: HostCapacity, vmId: string | undefined): Amounts {
  const held = heldBy(capacity, vmId);
  const beyond = (part: keyof Amounts): number =>
    Math.max(0, need[part] - Math.max(held?.promised[part] ?? 0, held?.taken[part] ?? 0));
  return { memoryMib: beyond('memoryMib'), diskMib: beyond('diskMib') };
}

/**
 * What is going to be taken that the host does not know of yet: by VMs that are being made or started, by the CLI VMs of users
 * who sign in, by roots that are being made, and by homes that are being received. Left out is the CLI VM of the user who has asked for it: `asking`.
 */
async function expectedOf(ctx: VmContext, capacity: HostCapacity, asking?: string): Promise<Map<string, Amounts>> {
  const active = await rows.active(ctx);
  const expected = new Map<string, Amounts>();
  for (const row of active.filter(isComing)) {
    const isNew = row.kind === 'cli' && row.state === 'creating';
    expected.set(row.id, isNew ? await needOfNewCli(ctx) : needOf(sizeOf(ctx)));
  }
  for (const userId of await usersWithRoom(ctx, active)) {
    const cli = userId === asking ? undefined : await needOfCli(ctx, userId);
    if (cli) expected.set(cli.vmId ?? userId, cli.need);
  }
  const more: [string, number][] = [...(await rootsComing(ctx, capacity)), ...ctx.arriving];
  for (const [id, diskMib] of more) {
    const { memoryMib = 0, diskMib: known = 0 } = expected.get(id) ?? {};
    expected.set(id, { memoryMib, diskMib: Math.max(known, diskMib) });
  }
  return expected;
}

/** By VM: MiB that its disks are going to have with the root that is being copied. */
async function rootsComing(ctx: VmContext, capacity: HostCapacity): Promise<[string, number][]> {
  const all: [string, number][] = [];
  for (const { id, rootUpdate } of await updating(ctx)) {
    if (rootUpdate?.state !== 'copying' || rootUpdate.to === null) continue;
    const held = heldBy(capacity, id);
    const there = held?.disks.rootsMib.get(rootUpdate.to.number) ?? 0;
    all.push([id, (held?.promised.diskMib ?? 0) - there + (await rootMib(ctx))]);
  }
  return all;
}

/** Users with a sign-in under way that has its browser VM: it was given room for the CLI VM along with it. */
async function usersWithRoom(ctx: VmContext, active: readonly VmRow[]): Promise<Set<string>> {
  const users = new Set(active.filter(({ kind, sessionId }) => kind === 'browser' && sessionId !== null).map(ownerOf));
  if (users.size === 0) return users;
  const signingIn = await ctx.signingIn(new Date());
  return new Set([...users].filter((userId) => signingIn.has(userId)));
}

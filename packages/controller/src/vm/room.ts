/**
 * Room on the host for VMs that are to be made or started. It is looked at and taken in one turn: the row that is written then
 * says that it is taken, until the host itself knows of the VM. The browser VM of a sign-in takes room for the CLI VM along.
 */
import {
  needOf,
  requireRoom,
  roomLeft,
  type Amounts,
  type HostCapacity,
  type VmSize,
} from '@airlock/contract/capacity';
import type { VmContext } from './context.js';
import * as rows from './rows.js';
import type { VmRow } from './vm.js';

const mib = 1024 * 1024;
/** There is one host, so all turns are of one key. */
const host = 'host';

/** What room is asked for. */
export interface Wanted {
  userId: string;
  /** A new browser VM. */
  browser: boolean;
  /** The user's CLI VM, as far as it does not have its room already. */
  cli: boolean;
}

/**
 * Whether the host has room for what is wanted; nothing is taken.
 * @throws AppError image_missing, image_corrupt, capacity_exhausted, disk_full
 */
export async function checkRoom(ctx: VmContext, wanted: Wanted): Promise<void> {
  const [capacity, expected] = await Promise.all([ctx.engine.capacity(), expectedOf(ctx, wanted)]);
  const needs = wanted.browser ? [needOf(sizeOf(ctx))] : [];
  const cli = wanted.cli ? await needOfCli(ctx, wanted.userId) : undefined;
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

const sizeOf = ({ settings, host: { accel } }: VmContext): VmSize => ({
  accel,
  memoryMib: settings.AIRLOCK_VM_MEMORY_MIB,
});
const diskMib = (bytes: number): number => Math.ceil(bytes / mib);
const isSome = ({ memoryMib, diskMib }: Amounts): boolean => memoryMib + diskMib > 0;
const isComing = ({ state }: VmRow): boolean => state === 'creating' || state === 'starting';

/** With a disk of its own that does not exist yet. */
async function needOfNewCli(ctx: VmContext): Promise<Amounts> {
  const { manifest } = await ctx.images.current();
  return needOf({ ...sizeOf(ctx), newDiskMib: diskMib(manifest.artefacts.rootfs.size) });
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
function beyondHeld(need: Amounts, { vms }: HostCapacity, vmId: string | undefined): Amounts {
  const held = vms.find((vm) => vm.vmId === vmId);
  const beyond = (part: keyof Amounts): number =>
    Math.max(0, need[part] - Math.max(held?.promised[part] ?? 0, held?.taken[part] ?? 0));
  return { memoryMib: beyond('memoryMib'), diskMib: beyond('diskMib') };
}

/**
 * What is going to be taken that the host does not know of yet: by VMs that are being made or started, and by the CLI VMs of users
 * who sign in. Of these, the one that is wanted itself is left out.
 */
async function expectedOf(ctx: VmContext, wanted: Wanted): Promise<Map<string, Amounts>> {
  const active = await rows.active(ctx);
  const expected = new Map<string, Amounts>();
  for (const row of active.filter(isComing)) {
    const copying = row.kind === 'cli' && row.state === 'creating';
    expected.set(row.id, copying ? await needOfNewCli(ctx) : needOf(sizeOf(ctx)));
  }
  for (const userId of await usersWithRoom(ctx, active)) {
    const cli = wanted.cli && userId === wanted.userId ? undefined : await needOfCli(ctx, userId);
    if (cli) expected.set(cli.vmId ?? userId, cli.need);
  }
  return expected;
}

/** Users with a sign-in under way that has its browser VM: it was given room for the CLI VM along with it. */
async function usersWithRoom(ctx: VmContext, active: readonly VmRow[]): Promise<Set<string>> {
  const users = new Set(
    active.filter(({ kind, sessionId }) => kind === 'browser' && sessionId !== null).map(({ userId }) => userId),
  );
  if (users.size === 0) return users;
  const signingIn = await ctx.signingIn(new Date());
  return new Set([...users].filter((userId) => signingIn.has(userId)));
}

/** Room for another root beside the one that the VM has. @throws AppError disk_full */
export async function takeRoomForRoot(
  ctx: VmContext,
  _row: VmRow,
  { artefacts }: { artefacts: { rootfs: { size: number } } },
): Promise<void> {
  const capacity = await ctx.engine.capacity();
  requireRoom([{ memoryMib: 0, diskMib: diskMib(artefacts.rootfs.size) }], roomLeft(capacity, new Map()));
}

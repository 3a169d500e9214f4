/**
 * Room on the host for VMs that are to be made or started. It is looked at and taken in one turn: the row that is written then
 * says that it is taken, until the host itself knows of the VM.
 */
import { needOf, requireRoom, roomLeft, type Amounts, type VmSize } from '@airlock/contract/capacity';
import type { VmKind } from '@airlock/contract/api';
import type { VmContext } from './context.js';
import * as rows from './rows.js';
import type { VmRow } from './vm.js';

const mib = 1024 * 1024;
/** There is one host, so all turns are of one key. */
const host = 'host';

/**
 * Whether the host has room for these VMs together; nothing is taken.
 * @throws AppError image_missing, image_corrupt, capacity_exhausted, disk_full
 */
export async function checkRoom(ctx: VmContext, needs: readonly Amounts[]): Promise<void> {
  const [capacity, expected] = await Promise.all([ctx.engine.capacity(), expectedOf(ctx)]);
  requireRoom(needs, roomLeft(capacity, expected));
}

/**
 * Does `take`, which writes that the VM is to be made or started, if there is room for it.
 * @throws AppError capacity_exhausted, disk_full: `take` was not done
 */
export function takeRoom<T>(ctx: VmContext, need: Amounts, take: () => Promise<T>): Promise<T> {
  return ctx.room.run(host, async () => {
    await checkRoom(ctx, [need]);
    return take();
  });
}

/** What a VM needs that does not exist yet. */
export async function needOfNew(ctx: VmContext, kind: VmKind): Promise<Amounts> {
  const { manifest } = await ctx.images.current();
  return needOf({ ...sizeOf(ctx), ...(kind === 'cli' && { newDiskMib: diskMib(manifest.artefacts.rootfs.size) }) });
}

/** What a CLI VM needs that stands still. */
export const needOfKept = (ctx: VmContext): Amounts => needOf(sizeOf(ctx));

/** What a sign-in, or a prompt, still needs for the user's CLI VM. */
export async function needsForCli(ctx: VmContext, userId: string): Promise<Amounts[]> {
  const row = await rows.liveCli(ctx, userId);
  if (!row || row.state === 'destroying') return [await needOfNew(ctx, 'cli')];
  return row.state === 'stopped' || row.state === 'stopping' ? [needOfKept(ctx)] : [];
}

const sizeOf = ({ settings, host: { accel } }: VmContext): VmSize => ({
  accel,
  memoryMib: settings.AIRLOCK_VM_MEMORY_MIB,
});
const diskMib = (bytes: number): number => Math.ceil(bytes / mib);

/** What VMs are going to have that are only being made or started; the host knows of those that run. */
async function expectedOf(ctx: VmContext): Promise<Map<string, Amounts>> {
  const isComing = ({ state }: VmRow): boolean => state === 'creating' || state === 'starting';
  const coming = (await rows.active(ctx)).filter(isComing);
  const amounts = coming.map(async (row): Promise<[string, Amounts]> => {
    const copying = row.kind === 'cli' && row.state === 'creating';
    return [row.id, copying ? await needOfNew(ctx, 'cli') : needOfKept(ctx)];
  });
  return new Map(await Promise.all(amounts));
}

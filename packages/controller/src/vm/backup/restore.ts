/**
 * A CLI VM made anew around the home of a backup. Nothing that is there changes before all of the backup was read and found whole, and a
 * fresh root lies beside it. A crash before then leaves half a disk, which the next controller removes; after that a VM that is only
 * being made, which it removes as well: the backup is still there.
 */
import { AppError } from '@airlock/contract/errors';
import type { ImageManifest } from '@airlock/contract/image';
import type { VmContext } from '../context.js';
import { destroy } from '../end.js';
import { giveUp, requireHomeDisk } from '../power.js';
import { takeRoomForHome } from '../room.js';
import * as rows from '../rows.js';
import type { RestoreRequest, VmRow } from '../vm.js';
import { openHome } from './form.js';

/** A home that has come to the host, with a root beside it, for a VM that has no row yet. */
interface Arrived {
  vmId: string;
  imageId: string;
  homeKey: string;
  keep(): Promise<void>;
}

const rootNumber = 1;
const gibBytes = 1024 ** 3;

/** See `Vms.restore`. */
export async function restore(
  ctx: VmContext,
  file: AsyncIterable<Uint8Array>,
  { passphrase, replace, ownerOf }: RestoreRequest,
): Promise<VmRow> {
  const { about, extents } = await openHome(passphrase, file);
  const userId = await ownerOf(about.user);
  const { manifest } = await ctx.images.current();
  requireHomeDisk(manifest);
  requirePlace(await rows.liveCli(ctx, userId), replace);
  const vmId = rows.newVmId();
  await takeRoomFor(ctx, vmId, about.sizeBytes, manifest);
  ctx.log.info({ vmId, userId, madeAt: about.madeAt, from: about.vmId }, 'a home is being restored');
  try {
    const { keep } = await ctx.engine.receiveHome(vmId, { sizeBytes: about.sizeBytes, extents }, ctx.signal);
    const root = { number: rootNumber, imageId: manifest.id };
    await ctx.engine.createRoot(vmId, root, { low: false, signal: ctx.signal });
    const arrived: Arrived = { vmId, imageId: manifest.id, homeKey: about.homeKey, keep };
    return await asPreparation(ctx, userId, () => moveIn(ctx, userId, replace, arrived));
  } catch (error) {
    await ctx.engine.remove(vmId).catch((failure: unknown) => {
      ctx.log.error({ err: failure, vmId }, 'what came of a home that was not restored is still there');
    });
    throw error;
  } finally {
    ctx.arriving.delete(vmId);
  }
}

/** Once whatever prepares the user's CLI VM has come to its end, so that nobody makes another one meanwhile. */
async function asPreparation(ctx: VmContext, userId: string, work: () => Promise<VmRow>): Promise<VmRow> {
  while (ctx.preparations.has(userId)) await ctx.preparations.settled(userId);
  return ctx.preparations.run(userId, work);
}

/** Only as the preparation of its user. */
async function moveIn(
  ctx: VmContext,
  userId: string,
  replace: boolean,
  { vmId, imageId, homeKey, keep }: Arrived,
): Promise<VmRow> {
  const old = await rows.liveCli(ctx, userId);
  requirePlace(old, replace);
  if (old) await destroy(ctx, old.id);
  const vm = { userId, sessionId: null, destroyAt: null, kind: 'cli', accel: ctx.host.accel } as const;
  await rows.insert(ctx, { ...vm, id: vmId, imageId, rootNumber });
  return ctx.turns.run(vmId, async () => {
    try {
      await ctx.homeKeys.sealHomeKey(vmId, homeKey);
      await keep();
      const restored = await rows.apply(ctx, vmId, 'restored');
      if (!restored)
        throw new AppError('vm_not_running', `VM ${vmId} was destroyed while its home was being restored.`);
      ctx.log.info({ vmId, userId, replaced: old?.id ?? null }, 'a home is restored');
      return restored;
    } catch (error) {
      throw await giveUp(ctx, vmId, error);
    }
  });
}

/** @throws AppError vm_exists */
function requirePlace(old: VmRow | undefined, replace: boolean): void {
  if (!old || replace) return;
  throw new AppError('vm_exists', `The user has a CLI VM already, ${old.id}, with a home of its own.`, {
    hint: 'To give up all that is in it, restore with `--replace` (`replace` in the API), or destroy it before.',
  });
}

/** @throws AppError invalid_request for a home larger than any may be, disk_full */
async function takeRoomFor(
  ctx: VmContext,
  vmId: string,
  sizeBytes: number,
  { artefacts }: ImageManifest,
): Promise<void> {
  const rootBytes = artefacts.rootfs.size;
  // A home that was its VM's root, too, is as large as an image.
  const mostBytes = Math.max(ctx.settings.AIRLOCK_HOME_DISK_GIB * gibBytes, rootBytes);
  const gib = Math.ceil(sizeBytes / gibBytes);
  if (sizeBytes > mostBytes) {
    throw new AppError('invalid_request', `The home in the backup is of ${gib} GiB; homes here may not be as large.`, {
      hint: `Set AIRLOCK_HOME_DISK_GIB to ${gib} or more, and start the controller anew.`,
    });
  }
  await takeRoomForHome(ctx, vmId, sizeBytes + rootBytes);
}

/** Making and starting a VM: its row first, then folder, secrets and runner; on failure nothing of the start is left. */
import { AppError } from '@airlock/contract/errors';
import { driverFor, type DriverChoice } from '@airlock/contract/capacity';
import type { VmKind } from '@airlock/contract/api';
import type { Noted } from '../audit/audit.js';
import { homeDiskProtocol } from '@airlock/contract/guest';
import type { ImageManifest } from '@airlock/contract/image';
import { violatedUnique } from '../store/open.js';
import { requireUnderstood, requireUnderstoodVm } from './age.js';
import type { VmContext } from './context.js';
import * as rows from './rows.js';
import { bornWith, runnerSecrets, vmPlan } from './plan.js';
import { growHome, takeRoom } from './room.js';
import type { VmRow } from './vm.js';
import { watch } from './watch.js';

/** The row of a new VM. @throws AppError image_missing, image_corrupt, as `requireHomeDisk`, capacity_exhausted, disk_full */
export async function insert(ctx: VmContext, kind: VmKind, vm: rows.NewVm, noted?: Noted<VmRow>): Promise<VmRow> {
  const image = await ctx.images.current();
  const id = rows.newVmId();
  if (kind === 'cli') requireHomeDisk(image.manifest);
  const row = {
    ...vm,
    id,
    kind,
    imageId: image.manifest.id,
    rootNumber: kind === 'cli' ? 1 : 0,
    accel: ctx.host.accel,
  };
  // Nobody is to sign in for nothing.
  const wanted = { userId: vm.userId, browser: kind === 'browser', cli: kind === 'cli' || vm.sessionId !== null };
  return takeRoom(ctx, wanted, () =>
    ctx.db.transaction(async (tx) => {
      const made = await rows.insert({ db: tx }, row);
      await noted?.(made, tx);
      return made;
    }),
  );
}

/** @throws AppError image_too_new; image_too_old for an image whose guest does not find a home beside its root, too */
export function requireHomeDisk(manifest: ImageManifest): void {
  requireUnderstood(manifest, null);
  const { id, guestProtocol } = manifest;
  if (guestProtocol >= homeDiskProtocol) return;
  throw new AppError(
    'image_too_old',
    `The golden image ${id} comes from a version before CLI VMs had a home of their own.`,
    {
      hint: 'Build a newer one: `npx airlock image build` (`npm run up` does it by itself).',
    },
  );
}

/**
 * Starts the runner of a VM that is creating or stopped. Only in the VM's turn.
 * @throws AppError why not, such as image_too_old, image_too_new or vm_ids_exhausted
 */
export async function start(ctx: VmContext, row: VmRow): Promise<void> {
  // Another boot of the host may have another verdict than the one that the VM was made or started under.
  const { accel, countMs, network } = ctx.host;
  const chosen = await driverOf(ctx, row).catch(AppError.from);
  const { driver, driverReason } = chosen instanceof AppError ? { driver: null, driverReason: chosen.message } : chosen;
  const patch = {
    ...{ epoch: row.epoch + 1, accel, countMs, network, driver, driverReason },
    ...{ error: null, timings: rows.noTimings, readyAt: null },
    bornWith: driver === null || row.userId !== null ? null : await bornWith(ctx, { imageId: row.imageId, driver }),
  };
  const powerOn = (): Promise<VmRow | undefined> => powerOnAs(ctx, row.id, patch);
  // One that is being made has its room already.
  const wanted = { userId: row.userId, browser: false, cli: true };
  const started = row.state === 'stopped' ? await takeRoom(ctx, wanted, powerOn) : await powerOn();
  if (!started) throw new AppError('vm_not_running', `VM ${row.id} was destroyed before it could start.`);
  await requireUnderstoodVm(ctx, started);
  if (chosen instanceof AppError) throw chosen;
  const homeKey = row.kind === 'cli' ? await ctx.homeKeys.openHomeKey(row.id) : null;
  const proxyPort = row.userId === null ? null : await ctx.proxyPort(row.userId);
  const secrets = await runnerSecrets(started, homeKey, proxyPort, ctx.settings);
  // Not before: a start that is refused leaves what was known of the VM as it was.
  if (row.kind === 'cli') await ctx.guard.starting(started);
  if (row.state === 'stopped' && row.rootNumber > 0) await growHome(ctx, row);
  await ctx.engine.start(vmPlan(started, chosen.driver, ctx), secrets);
  watch(ctx, started);
}

/** With a user id of its own, where the host has such; one that another VM was faster with is left to that. */
async function powerOnAs(ctx: VmContext, vmId: string, patch: rows.VmPatch): Promise<VmRow | undefined> {
  const { vmUsers } = ctx.host;
  for (;;) {
    const vmUser = vmUsers && (await rows.freeVmUser(ctx, vmUsers));
    try {
      return await rows.apply(ctx, vmId, 'power_on', { patch: { ...patch, vmUser } });
    } catch (error) {
      if (violatedUnique(error) !== 'vms_one_user') throw error;
    }
  }
}

/** A VM stays with what its image knows, also when its host has something better. @throws AppError image_too_old */
async function driverOf({ images, host }: VmContext, { imageId, kind }: VmRow): Promise<DriverChoice> {
  const manifest = await images.manifest(imageId).catch(() => ({ id: imageId, drivers: null }));
  return driverFor(host, manifest, kind);
}

/** The first start of a browser VM, in the background: its row tells how it went. */
export function launch(ctx: VmContext, row: VmRow): void {
  const work = async (): Promise<void> => {
    try {
      await start(ctx, row);
    } catch (error) {
      await giveUp(ctx, row.id, error);
    }
  };
  ctx.turns
    .run(row.id, work)
    .catch((error: unknown) => ctx.log.error({ err: error, vmId: row.id }, 'what a VM failed with was not written'));
}

/**
 * Gives up on a VM that could not be made or started: releases everything and tells the row why. Answers why. What cannot
 * be released now is left to the sweep. Only in the VM's turn.
 */
export async function giveUp(ctx: VmContext, vmId: string, error: unknown): Promise<AppError> {
  const why = AppError.from(error);
  ctx.log.warn({ vmId, code: why.code, reason: why.message }, 'VM could not start');
  try {
    await ctx.engine.stop(vmId, 0);
    await ctx.engine.remove(vmId);
    await ctx.homeKeys.dropHomeKey(vmId);
    await rows.apply(ctx, vmId, 'failed', { patch: { error: why.toBody() } });
  } catch (failure) {
    ctx.log.error({ err: failure, vmId }, 'a VM that could not start was not cleaned up; trying again');
    await rows.apply(ctx, vmId, 'destroy', { patch: { error: why.toBody(), destroyAt: new Date() } });
  }
  return why;
}

/**
 * Browser VMs that nobody has yet: each is booted by itself, so that it shares no randomness with another one, stands still once it is
 * ready, and is given to one sign-in.
 */
import { AppError } from '@airlock/contract/errors';
import { driverFor } from '@airlock/contract/capacity';
import type { VmContext } from './context.js';
import { bornWith, vmSettings } from './plan.js';
import { giveUp, insert, launch } from './power.js';
import { takeRoom } from './room.js';
import * as rows from './rows.js';
import { ownerOf, type Claim, type VmRow, type WaitingVm } from './vm.js';

/** See `Vms.createWaiting`. */
export async function createWaiting(ctx: VmContext): Promise<VmRow> {
  if (ctx.halted) throw new AppError('shutting_down', 'All VMs were stopped: none is made in advance.');
  const row = await insert(ctx, 'browser', { userId: null, sessionId: null, destroyAt: null });
  launch(ctx, row);
  return row;
}

/** See `Vms.waiting`. */
export async function waiting(ctx: VmContext): Promise<WaitingVm[]> {
  const all = await rows.nobodys(ctx);
  if (all.length === 0) return [];
  const { manifest } = await ctx.images.current();
  const { driver } = driverFor(ctx.host, manifest, 'browser');
  const now = await bornWith(ctx, { imageId: manifest.id, driver });
  // One that is coming does not know yet.
  return all.map((row) => ({ row, fits: row.bornWith === null ? row.imageId === manifest.id : row.bornWith === now }));
}

/** See `Vms.assign`. */
export async function assign(ctx: VmContext, vmId: string, claim: Claim): Promise<VmRow | undefined> {
  const wanted = { userId: claim.userId, browser: false, assigned: true, cli: true };
  const row = await takeRoom(ctx, wanted, () => rows.apply(ctx, vmId, 'assign', { patch: claim }));
  if (row) await ctx.turns.run(vmId, () => give(ctx, row));
  return row;
}

/** Has the runner give the VM, whose row says already whose it is. Only in the VM's turn. @throws AppError: the VM has failed */
export async function give(ctx: VmContext, row: VmRow): Promise<void> {
  try {
    const settings = await vmSettings(ctx.settings, await ctx.proxyPort(ownerOf(row)));
    await ctx.engine.assign(row.id, { sessionId: row.sessionId ?? '', settings }, ctx.signal);
  } catch (error) {
    // The next controller finds out how far it came.
    if (ctx.signal.aborted) throw error;
    throw await giveUp(ctx, row.id, error);
  }
}

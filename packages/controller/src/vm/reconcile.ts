/** At start: what the controller before this one left, VM by VM. */
import { AppError } from '@airlock/contract/errors';
import type { VmContext } from './context.js';
import { launch } from './power.js';
import { renewSettings } from './renew.js';
import { updating } from './root/rows.js';
import * as rows from './rows.js';
import type { VmRow } from './vm.js';
import { give } from './waiting.js';
import { watch } from './watch.js';

/** Resolves when every row tells the truth, or says that the VM is being stopped or removed, which the sweep sees to. */
export async function reconcile(ctx: VmContext): Promise<void> {
  const dropped = await ctx.engine.dropReceived(await rows.ownerIds(ctx));
  if (dropped.length > 0) ctx.log.info({ dropped }, 'homes were being restored when the last controller ended');
  const left = await rows.active(ctx);
  await Promise.all(left.map((row) => ctx.turns.run(row.id, () => reconcileOne(ctx, row))));
  for (const { id, rootUpdate } of await updating(ctx)) if (rootUpdate?.state === 'proving') ctx.unproved.add(id);
}

/** A VM that nothing can be found out about is taken away, or stands still if it is kept: the others come up all the same. */
async function reconcileOne(ctx: VmContext, row: VmRow): Promise<void> {
  const isDue = row.destroyAt !== null && row.destroyAt <= new Date();
  if (isDue || row.state === 'stopping' || row.state === 'destroying') return;
  try {
    await adoptOrRelease(ctx, row);
  } catch (error) {
    ctx.log.error({ err: error, vmId: row.id }, 'what was left of a VM could not be put right; trying again');
    const patch = { error: AppError.from(error).toBody() };
    const isKept = row.kind === 'cli' && row.state !== 'creating';
    if (isKept) await rows.apply(ctx, row.id, 'stop', { patch });
    else await rows.apply(ctx, row.id, 'destroy', { patch: { ...patch, destroyAt: new Date() } });
  }
}

/**
 * Adopts the VM when its runner lives, starts a browser VM that had not been powered on, otherwise releases what is left
 * and says so.
 */
async function adoptOrRelease(ctx: VmContext, row: VmRow): Promise<void> {
  const { engine, log } = ctx;
  const found = await engine.status(row.id);
  if (found?.alive && found.status.epoch === row.epoch) {
    log.info({ vmId: row.id }, 'VM adopted');
    watch(ctx, row);
    // The last controller had given it to a sign-in, and could not tell the runner any more.
    if (row.userId !== null && found.status.phase === 'waiting') return giveAgain(ctx, row);
    return renewSettings(ctx, row);
  }
  await engine.stop(row.id, 0);
  // Nothing has run of it yet: whoever asked for it is served by starting it now.
  const isNew = ['creating', 'starting'].includes(row.state) && (found?.status.poweredOnAt ?? null) === null;
  if (row.kind === 'browser' && isNew) {
    const again = row.state === 'creating' ? row : await rows.apply(ctx, row.id, 'start_again');
    return again && launch(ctx, again);
  }
  if (row.kind === 'cli' && row.state !== 'creating') {
    await rows.apply(ctx, row.id, 'restart_lost', { patch: { readyAt: null } });
    return;
  }
  await engine.remove(row.id);
  const lost = new AppError('vm_lost', 'The VM ended while no controller was running.');
  const error = found?.status.error ?? lost.toBody();
  await ctx.homeKeys.dropHomeKey(row.id);
  await rows.apply(ctx, row.id, 'failed', { patch: { error } });
}

/** Once this turn of the VM is over: nobody waits for it at the start. */
function giveAgain(ctx: VmContext, row: VmRow): void {
  const given = ctx.turns.run(row.id, () => give(ctx, row));
  ctx.background.own(given, 'a VM that waited could not be given to its sign-in', { vmId: row.id });
}

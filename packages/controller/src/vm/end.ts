/** Taking VMs away: on demand and when their time has come. */
import type { VmContext } from './context.js';
import { reachOf } from './guest.js';
import * as rows from './rows.js';
import { forget } from './watch.js';

/** Ends the VM and removes everything of it but its logs. Idempotent; calls at the same time share one run. */
export function destroy(ctx: VmContext, vmId: string): Promise<void> {
  return ctx.removals.run(vmId, async () => {
    const before = await rows.get(ctx, vmId);
    if (before?.kind === 'cli' && before.state === 'running') await ctx.guard.ending(before, reachOf(ctx));
    // Written first: a crash from here on is finished by the next sweep.
    await rows.apply(ctx, vmId, 'destroy', { patch: { destroyAt: new Date() } });
    await ctx.turns.run(vmId, () => remove(ctx, vmId));
  });
}

/** `destroy` of a VM that nobody has; false when a sign-in was faster, and nothing was done. */
export async function destroyNobodys(ctx: VmContext, vmId: string): Promise<boolean> {
  const patch = { destroyAt: new Date() };
  if (!(await rows.apply(ctx, vmId, 'destroy', { patch, when: rows.isNobodys }))) return false;
  await destroy(ctx, vmId);
  return true;
}

async function remove(ctx: VmContext, vmId: string): Promise<void> {
  const row = await rows.get(ctx, vmId);
  if (row?.state !== 'destroying') return;
  forget(ctx, vmId);
  await ctx.engine.stop(vmId, 0);
  await ctx.engine.remove(vmId);
  await ctx.homeKeys.dropHomeKey(vmId);
  await rows.apply(ctx, vmId, 'removed');
  ctx.log.info({ vmId, kind: row.kind }, 'VM destroyed');
}

/** Begins to destroy every VM whose time has come; does not wait for their ends, so that none waits for another. */
export async function destroyDue(ctx: VmContext): Promise<void> {
  for (const { id } of await rows.due(ctx)) {
    if (ctx.removals.has(id)) continue;
    ctx.background.own(destroy(ctx, id), 'VM could not be destroyed; trying again', { vmId: id });
  }
}

/** Removes what is kept of VMs that came to their end more than AIRLOCK_KEEP_DAYS before `now`. */
export async function removeOld(ctx: VmContext, now: Date): Promise<void> {
  const before = new Date(now.getTime() - ctx.settings.AIRLOCK_KEEP_DAYS * 86_400_000);
  const removed = await rows.removeEnded(ctx, before);
  const pruned = await ctx.engine.prune(await rows.ownerIds(ctx), before);
  if (removed.length + pruned.length > 0)
    ctx.log.info({ rows: removed.length, logs: pruned.length, before }, 'old records of VMs removed');
}

/** Stopping CLI VMs, on demand and when nobody uses them; their disks stay. */
import type { VmContext } from './context.js';
import { reachOf } from './guest.js';
import { patchUpdate, underWay } from './root/rows.js';
import * as rows from './rows.js';
import { ownerOf, type VmRow } from './vm.js';
import { forget } from './watch.js';

/** Milliseconds for a CLI VM to shut down by itself. */
const shutdownMs = 30_000;

/** Powers a CLI VM off, after a last look of the guard; its disks stay. Nor does it come up for another root that is on its way. */
export function stop(ctx: VmContext, vmId: string): Promise<void> {
  return ctx.turns.run(vmId, async () => {
    await stopNow(ctx, vmId);
    await patchUpdate(ctx, vmId, { run: false }, underWay);
  });
}

/** Stops the VM if `move` finds that it still may, whatever uses it. Only in the VM's turn. */
export async function stopNow(
  ctx: VmContext,
  vmId: string,
  move = (): Promise<VmRow | undefined> => rows.apply(ctx, vmId, 'stop'),
): Promise<void> {
  const row = await rows.get(ctx, vmId);
  if (row?.state === 'running') await ctx.guard.ending(row, reachOf(ctx));
  if (row?.state === 'stopping' || (await move())) return release(ctx, vmId, shutdownMs);
  const after = await rows.get(ctx, vmId);
  // It goes on: the look before its end was not the last one.
  if (after?.state === 'running') await ctx.guard.starting(after);
}

/** Ends a stop that has broken off; nothing where there is none. */
export function stopRest(ctx: VmContext, vmId: string): Promise<void> {
  return ctx.turns.run(vmId, () => stopRestNow(ctx, vmId));
}

/** `stopRest`, only in the VM's turn. */
export async function stopRestNow(ctx: VmContext, vmId: string): Promise<void> {
  if ((await rows.get(ctx, vmId))?.state === 'stopping') await release(ctx, vmId, shutdownMs);
}

/** The last step of a stop. Where it fails, the row goes on to say `stopping`, and `stopRest` does it again. Only in the VM's turn. */
export async function release(ctx: VmContext, vmId: string, graceMs: number): Promise<void> {
  forget(ctx, vmId);
  await ctx.engine.stop(vmId, graceMs);
  await rows.apply(ctx, vmId, 'released', { patch: { readyAt: null } });
}

/**
 * Begins to stop those that nobody has used for AIRLOCK_CLI_IDLE_S, and those whose stop has broken off; does not wait for
 * their ends.
 */
export async function stopIdle(ctx: VmContext): Promise<void> {
  const before = new Date(Date.now() - ctx.settings.AIRLOCK_CLI_IDLE_S * 1000);
  const idle = await rows.idle(ctx, before);
  const busy = idle.length > 0 ? await ctx.signingIn(before) : new Set();
  for (const row of idle) {
    const { id } = row;
    const userId = ownerOf(row);
    if (ctx.turns.has(id) || ctx.uses.has(userId) || busy.has(userId)) continue;
    ctx.log.info({ vmId: id }, 'CLI VM is idle and is stopped');
    const move = (): Promise<VmRow | undefined> => stopUnused(ctx, row, before);
    ctx.turns.run(id, () => stopNow(ctx, id, move)).catch(notStopped(ctx, id));
  }
  for (const { id } of await rows.stopping(ctx)) {
    if (!ctx.turns.has(id)) stopRest(ctx, id).catch(notStopped(ctx, id));
  }
}

/** Whether prompts or checks use the user's CLI VM, or wait for its start; or a sign-in does, or has since `since`. */
export async function isInUse(ctx: VmContext, vm: Pick<VmRow, 'id' | 'userId'>, since = new Date()): Promise<boolean> {
  const userId = ownerOf(vm);
  return ctx.uses.has(userId) || (await ctx.signingIn(since)).has(userId);
}

/** For `stopNow`: unless somebody uses the VM, or has since `before`. */
export async function stopUnused(
  ctx: VmContext,
  vm: Pick<VmRow, 'id' | 'userId'>,
  before: Date,
): Promise<VmRow | undefined> {
  if (await isInUse(ctx, vm, before)) return undefined;
  return rows.apply(ctx, vm.id, 'stop', { when: rows.unusedSince(before) });
}

const notStopped =
  ({ log }: VmContext, vmId: string) =>
  (error: unknown): void =>
    log.error({ err: error, vmId }, 'a CLI VM could not be stopped; trying again');

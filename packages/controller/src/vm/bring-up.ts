/** Bringing a CLI VM up from the root that its row names. One that does not start keeps its disks: they may hold logins. */
import { AppError } from '@airlock/contract/errors';
import { requireUnderstoodVm } from './age.js';
import { release } from './cli-stop.js';
import type { VmContext } from './context.js';
import { reachOf } from './guest.js';
import { start } from './power.js';
import * as rows from './rows.js';
import type { VmRow } from './vm.js';
import { waitReady } from './wait.js';

/** Starts the VM unless it is on its way, and waits until it is ready. Only as the preparation of its user. */
export async function bringUpRoot(ctx: VmContext, row: VmRow, onProgress: (text: string) => void): Promise<VmRow> {
  if (row.state === 'creating' || row.state === 'stopped') {
    onProgress('starting');
    await ctx.turns.run(row.id, () => startKept(ctx, row.id));
  } else {
    // Another version may have started it.
    await requireUnderstoodVm(ctx, row);
  }
  const ready = row.state === 'running' ? row : await waitReady(ctx, row.id, ctx.signal, () => onProgress('starting'));
  // One that was adopted while it came up takes the present settings first.
  await ctx.turns.settled(row.id);
  await ctx.guard.ready(ready, reachOf(ctx));
  return ready;
}

/** Starts a VM that is kept when it fails; nothing where somebody has started it already, or it is gone. Only in the VM's turn. */
export async function startKept(ctx: VmContext, vmId: string): Promise<void> {
  const row = await rows.get(ctx, vmId);
  if (row?.state !== 'creating' && row?.state !== 'stopped') return;
  try {
    await start(ctx, row);
  } catch (error) {
    const why = AppError.from(error);
    const mine = await rows.apply(ctx, row.id, 'stop', { patch: { error: why.toBody() } });
    // What cannot be released now is released by a later sweep, or by the next use.
    if (mine)
      await release(ctx, row.id, 0).catch((failure: unknown) =>
        ctx.log.error({ err: failure, vmId: row.id }, 'a CLI VM that could not start was not cleaned up; trying again'),
      );
    throw why;
  }
}

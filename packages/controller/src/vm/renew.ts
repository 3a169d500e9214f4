/** The settings of this controller in CLI VMs that run already, with those of the controller that started them. */
import { AppError } from '@airlock/contract/errors';
import type { VmContext } from './context.js';
import { vmSettings } from './plan.js';
import * as rows from './rows.js';
import { ownerOf, type VmRow } from './vm.js';

/**
 * Has a CLI VM that was adopted take the present settings: in its next turn, or once it is ready. Answers at once: nobody but the
 * next turns of this VM waits, and how it went is told in the log.
 */
export function renewSettings(ctx: VmContext, row: VmRow): void {
  if (row.kind !== 'cli') return;
  if (row.state === 'running') return renew(ctx, row);
  ctx.changes.once(row.id, (after) => {
    if (after.state === 'running') renew(ctx, after);
  });
}

function renew(ctx: VmContext, vm: VmRow): void {
  const { id, epoch } = vm;
  const work = async (): Promise<void> => {
    const row = await rows.get(ctx, id);
    // Whatever starts it again gives it the settings that hold then.
    if (row?.state !== 'running' || row.epoch !== epoch) return;
    if (await putIntoForce(ctx, id, ownerOf(vm))) ctx.log.info({ vmId: id }, 'a running CLI VM has taken new settings');
  };
  ctx.turns.run(id, work).catch((error: unknown) => {
    if (ctx.signal.aborted) return;
    const { code, message, hint } = AppError.from(error);
    const text = 'a running CLI VM has not taken the present settings; it takes them at its next start';
    ctx.log.warn({ vmId: id, code, reason: message, hint }, text);
  });
}

/** Not beyond the time that the VM is to run. */
async function putIntoForce(ctx: VmContext, vmId: string, userId: string): Promise<boolean> {
  const ended = new AbortController();
  const onChange = (): void => ended.abort(new AppError('vm_not_running', `VM ${vmId} is being stopped or removed.`));
  ctx.changes.on(vmId, onChange);
  try {
    const settings = await vmSettings(ctx.settings, await ctx.proxyPort(userId));
    return await ctx.engine.configure(vmId, settings, AbortSignal.any([ctx.signal, ended.signal]));
  } finally {
    ctx.changes.off(vmId, onChange);
  }
}

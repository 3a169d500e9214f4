/** CLI VMs: one a user, with disks of its own. A CLI VM that does not start keeps them: it may hold logins. */
import { raceAbort } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import { stopRest } from './cli-stop.js';
import type { VmContext } from './context.js';
import { destroy } from './end.js';
import { giveUp, insert } from './power.js';
import { bringUp } from './root/replace.js';
import * as rows from './rows.js';
import { beginUse } from './use.js';
import type { CliUse, VmRow } from './vm.js';
import { endOf } from './wait.js';

/** For whom a CLI VM is prepared, and who hears how it goes. */
export interface CliRequest {
  userId: string;
  /** Noted on a VM that has to be made. */
  sessionId: string | null;
  onProgress(text: string): void;
}

/** See `Vms.ensureCli`. */
export function ensureCli(ctx: VmContext, request: CliRequest, signal: AbortSignal): Promise<VmRow> {
  // Nobody may be waiting any more when it fails: the row says why.
  return raceAbort(
    ctx.preparations.run(request.userId, () => prepare(ctx, request)),
    signal,
  );
}

async function prepare(ctx: VmContext, request: CliRequest): Promise<VmRow> {
  const row = (await standing(ctx, request.userId)) ?? (await create(ctx, request));
  return bringUp(ctx, row, request.onProgress);
}

/** The user's CLI VM once nobody is stopping or removing it any more. */
async function standing(ctx: VmContext, userId: string): Promise<VmRow | undefined> {
  for (;;) {
    const row = await rows.liveCli(ctx, userId);
    if (row?.state === 'destroying') await destroy(ctx, row.id);
    else if (row?.state === 'stopping') await stopRest(ctx, row.id);
    else if (row && ctx.turns.has(row.id)) await ctx.turns.settled(row.id);
    else return row;
  }
}

async function create(ctx: VmContext, { userId, sessionId, onProgress }: CliRequest): Promise<VmRow> {
  const row = await insert(ctx, 'cli', { userId, sessionId, destroyAt: null });
  onProgress('making its disks');
  await ctx.turns.run(row.id, () => makeDisks(ctx, row));
  return row;
}

async function makeDisks(ctx: VmContext, { id, imageId, rootNumber }: VmRow): Promise<void> {
  const taken = new AbortController();
  const onChange = (): void => taken.abort(new AppError('vm_not_running', `VM ${id} was destroyed.`));
  ctx.changes.on(id, onChange);
  try {
    const signal = AbortSignal.any([ctx.signal, taken.signal]);
    await ctx.homeKeys.sealHomeKey(id);
    await ctx.engine.createHome(id, ctx.settings.AIRLOCK_HOME_DISK_GIB, signal);
    await ctx.engine.createRoot(id, { number: rootNumber, imageId }, { low: false, signal });
  } catch (error) {
    throw await giveUp(ctx, id, error);
  } finally {
    ctx.changes.off(id, onChange);
  }
}

/** See `Vms.useCli`. */
export async function useCli(ctx: VmContext, request: CliRequest, signal: AbortSignal): Promise<CliUse> {
  const { userId } = request;
  const end = beginUse(ctx, userId);
  try {
    for (;;) {
      if (!(await rows.liveCli(ctx, userId))) throw new AppError('not_found', 'There is no CLI VM.');
      const { id } = await ensureCli(ctx, request, signal);
      const life = followLife(ctx, id);
      let vm: VmRow | undefined;
      try {
        vm = await rows.touch(ctx, id);
      } finally {
        if (!vm) life.forget();
      }
      // Not running any more: its stop had begun before this use.
      if (!vm) continue;
      return {
        vm,
        ended: life.ended,
        release: async () => {
          life.forget();
          end();
          await rows.touch(ctx, id);
        },
      };
    }
  } catch (error) {
    end();
    throw error;
  }
}

/** `ended` fires when the VM, which runs now, does not run any more. */
function followLife({ changes }: VmContext, vmId: string): { ended: AbortSignal; forget(): void } {
  const end = new AbortController();
  const onChange = (row: VmRow): void => {
    if (row.state !== 'running') end.abort(endOf(row));
  };
  changes.on(vmId, onChange);
  return { ended: end.signal, forget: () => void changes.off(vmId, onChange) };
}

/**
 * Stopping and starting CLI VMs because somebody asks for it. Each call goes through the VM's turn, so that of several the last one
 * holds; a stopped VM stays so until something uses it.
 */
import { AppError } from '@airlock/contract/errors';
import { startKept } from './bring-up.js';
import { stop, stopNow, stopRestNow } from './cli-stop.js';
import type { VmContext } from './context.js';
import { bringUp, isToCarryOver } from './root/replace.js';
import { askToRun } from './root/rows.js';
import * as rows from './rows.js';
import { isFinal } from './transitions.js';
import { beginUse } from './use.js';
import { ownerOf, type VmRow } from './vm.js';

/** See `Vms.stop`. */
export async function stopByHand(ctx: VmContext, vmId: string): Promise<VmRow> {
  await requireMade(ctx, vmId);
  ctx.log.info({ vmId }, 'CLI VM is stopped by hand');
  await stop(ctx, vmId);
  return requireCli(ctx, vmId);
}

/** See `Vms.start`. */
export async function startByHand(ctx: VmContext, vmId: string): Promise<VmRow> {
  const row = await requireCli(ctx, vmId);
  // It goes on by itself once its root is copied, which takes long.
  if (row.state === 'creating') return row;
  await ctx.turns.run(vmId, async () => {
    await stopRestNow(ctx, vmId);
    await startNow(ctx, vmId);
  });
  return attended(ctx, vmId);
}

/** See `Vms.restart`. */
export async function restartByHand(ctx: VmContext, vmId: string): Promise<VmRow> {
  await requireMade(ctx, vmId);
  ctx.log.info({ vmId }, 'CLI VM is restarted by hand');
  await ctx.turns.run(vmId, async () => {
    await stopNow(ctx, vmId);
    await startNow(ctx, vmId);
  });
  return attended(ctx, vmId);
}

/** One that gets a root of its own first is only asked for: that takes longer than anybody waits for an answer. Only in the VM's turn. */
export async function startNow(ctx: VmContext, vmId: string): Promise<void> {
  const row = await rows.get(ctx, vmId);
  if (row && (await isToCarryOver(ctx, row))) await askToRun(ctx, vmId);
  else await startKept(ctx, vmId);
}

/** The VM that was started: the guard sees it when it is ready, before anybody uses it. Nobody waits for that. */
export async function attended(ctx: VmContext, vmId: string): Promise<VmRow> {
  const row = await requireCli(ctx, vmId);
  attend(ctx, row).catch((error: unknown) => {
    const { code, message } = AppError.from(error);
    if (!ctx.signal.aborted) ctx.log.warn({ vmId, code, reason: message }, 'a start by hand did not come to its end');
  });
  return row;
}

/** Counts as a use: a VM that is started while its new root is proved does not stand still after that. */
async function attend(ctx: VmContext, vm: VmRow): Promise<void> {
  const { id } = vm;
  const userId = ownerOf(vm);
  const end = beginUse(ctx, userId);
  try {
    // What is under way may end with what a restart has stopped.
    await ctx.preparations.settled(userId);
    const row = await rows.get(ctx, id);
    // Somebody else may have stopped it meanwhile.
    if (row && isComing(row)) await ctx.preparations.run(userId, () => bringUp(ctx, row, () => undefined));
    await ctx.turns.settled(id);
  } finally {
    end();
  }
}

const isComing = ({ state, rootUpdate }: VmRow): boolean =>
  state === 'starting' || state === 'running' || (rootUpdate?.run === true && rootUpdate.state !== 'failed');

/** @throws AppError as `requireCli`, and vm_not_running for one whose disks are not there yet: there is nothing to stop or replace */
export async function requireMade(ctx: VmContext, vmId: string): Promise<VmRow> {
  const row = await requireCli(ctx, vmId);
  if (row.state !== 'creating') return row;
  throw new AppError(
    'vm_not_running',
    `VM ${vmId} is only being made: it has nothing yet that could be stopped, replaced or read.`,
    {
      hint: 'Wait until it is `starting`, or destroy it.',
    },
  );
}

/** @throws AppError not_found, invalid_request for a browser VM, vm_not_running for one that has come to its end */
async function requireCli(ctx: VmContext, vmId: string): Promise<VmRow> {
  const row = await rows.get(ctx, vmId);
  if (!row) throw new AppError('not_found', `There is no VM ${vmId}.`);
  if (row.kind !== 'cli') {
    throw new AppError('invalid_request', `VM ${vmId} is a browser VM: nothing of it outlives a stop.`, {
      hint: `Destroy it instead: \`npx airlock vm destroy ${vmId}\`, or DELETE /api/vm/${vmId}.`,
    });
  }
  if (row.state !== 'destroying' && !isFinal(row.state)) return row;
  throw new AppError('vm_not_running', `VM ${vmId} is ${row.state}; it cannot be started or stopped any more.`, {
    hint: 'The next sign-in makes a new CLI VM.',
  });
}

/**
 * Another root under the home of a CLI VM, step by step. The row tells how far it has come, so that whoever comes next goes on from
 * there: another controller, or the next use. The old root stays until the new one is proved.
 */
import { AppError, type ErrorCode } from '@airlock/contract/errors';
import { homeDiskProtocol } from '@airlock/contract/guest';
import type { VmRoot } from '@airlock/contract/runner';
import { bringUpRoot } from '../bring-up.js';
import { stopNow, stopRestNow } from '../cli-stop.js';
import type { VmContext } from '../context.js';
import { reachOf } from '../guest.js';
import { requireHomeDisk } from '../power.js';
import { takeRoomForRoot } from '../room.js';
import * as rows from '../rows.js';
import type { RootUpdate } from '../table.js';
import type { VmRow } from '../vm.js';
import { askToRun, beforeSwap, endUpdate, patchUpdate, swapRoots } from './rows.js';

type OnProgress = (text: string) => void;

/** Milliseconds after which what there was no room for is tried again by itself. */
const roomAgainMs = 3_600_000;
export const noRoom: readonly ErrorCode[] = ['disk_full', 'capacity_exhausted'];

/** Ends of a start that say nothing about the root: it is left as it is, and the next start goes on. */
const notOfRoot: readonly ErrorCode[] = [
  ...['aborted', 'shutting_down', 'vm_not_running', 'not_found', ...noRoom, 'home_key_lost'],
  ...['host_unsupported', 'vmm_missing', 'runner_claim_refused', 'config_invalid'],
  ...['upstream_unreachable', 'upstream_auth_failed', 'user_disabled'],
] as const as readonly ErrorCode[];
/** Ends that somebody from outside may have brought about: tried once more. */
const maybeKilled: readonly ErrorCode[] = ['vm_lost', 'vmm_failed', 'runner_failed', 'guest_unreachable'];

const rootOf = ({ rootNumber, imageId }: VmRow): VmRoot => ({ number: rootNumber, imageId });
export const hasImage = (row: VmRow, imageId: string): boolean => row.rootNumber > 0 && row.imageId === imageId;

/** Whether a replacement may begin that nobody has asked for; not again what has failed, unless it was for want of room a while ago. */
export function mayBegin(update: RootUpdate | null, imageId: string): boolean {
  if (update?.state !== 'failed' || update.to?.imageId !== imageId) return true;
  return update.error !== null && noRoom.includes(update.error.code) && Date.now() - update.since > roomAgainMs;
}

/**
 * Brings a CLI VM up: from a new root if it has none of its own yet, and not before a new root is proved. Only as the preparation of
 * its user.
 */
export async function bringUp(ctx: VmContext, row: VmRow, onProgress: OnProgress): Promise<VmRow> {
  const present = await carriedOver(ctx, row, onProgress);
  return bringUpRoot(ctx, await settled(ctx, present, onProgress), onProgress);
}

/** A VM of a version before homes had a disk of their own gets a root beside it; where that cannot be, it starts as it was. */
async function carriedOver(ctx: VmContext, row: VmRow, onProgress: OnProgress): Promise<VmRow> {
  if (!(await isToCarryOver(ctx, row))) return row;
  onProgress('bringing it to the newest image');
  const made = await makeRoot(ctx, (await askToRun(ctx, row.id)) ?? row, false);
  if (made?.rootUpdate?.run === false) throw wasStopped(row.id);
  return (made && (await swap(ctx, made.id))) ?? (await rows.get(ctx, row.id)) ?? row;
}

export async function isToCarryOver(ctx: VmContext, { rootNumber, state, rootUpdate }: VmRow): Promise<boolean> {
  if (rootNumber > 0 || state !== 'stopped') return false;
  const image = await ctx.images.current().catch(() => null);
  return image !== null && image.manifest.guestProtocol >= homeDiskProtocol && mayBegin(rootUpdate, image.manifest.id);
}

/** Makes the new root beside the old one: the row is `copied` then. Undefined where there is nothing to go on with; it says why. */
export function makeRoot(ctx: VmContext, { id }: VmRow, low: boolean): Promise<VmRow | undefined> {
  return ctx.newRoots.run(id, async () => {
    try {
      return await makeRootNow(ctx, id, low);
    } catch (error) {
      ctx.signal.throwIfAborted();
      await giveUp(ctx, id, AppError.from(error));
      return undefined;
    }
  });
}

async function makeRootNow(ctx: VmContext, vmId: string, low: boolean): Promise<VmRow | undefined> {
  const row = await rows.get(ctx, vmId);
  const update = row?.rootUpdate;
  if (!row || !update || !beforeSwap.includes(update.state)) return undefined;
  const { manifest } = await ctx.images.current();
  requireHomeDisk(manifest);
  if (update.kind === 'update' && hasImage(row, manifest.id)) {
    await endUpdate(ctx, vmId, beforeSwap);
    await tidy(ctx, row);
    return undefined;
  }
  const to = { number: row.rootNumber + 1, imageId: manifest.id };
  if (update.state === 'copied' && update.to?.imageId === to.imageId) return row;
  if (!(await patchUpdate(ctx, vmId, { state: 'waiting', to }, beforeSwap))) return undefined;
  // What an earlier try has left, also of another image.
  await ctx.engine.keepRoots(vmId, [row.rootNumber]);
  const begin = (): ReturnType<typeof patchUpdate> => patchUpdate(ctx, vmId, { state: 'copying', to }, ['waiting']);
  if (!(await takeRoomForRoot(ctx, row, manifest, begin))) return undefined;
  await copy(ctx, vmId, to, low);
  const copied = await patchUpdate(ctx, vmId, { state: 'copied' }, ['copying']);
  // Destroyed meanwhile, which has taken away what was there then.
  if (!copied) await ctx.engine.keepRoots(vmId, [row.rootNumber]);
  return copied;
}

async function copy(ctx: VmContext, vmId: string, to: VmRoot, low: boolean): Promise<void> {
  const ended = new AbortController();
  const onChange = ({ state }: VmRow): void => {
    if (state === 'destroying') ended.abort(new AppError('vm_not_running', `VM ${vmId} was destroyed.`));
  };
  ctx.changes.on(vmId, onChange);
  try {
    await ctx.engine.createRoot(vmId, to, { low, signal: AbortSignal.any([ctx.signal, ended.signal]) });
  } finally {
    ctx.changes.off(vmId, onChange);
  }
}

async function giveUp(ctx: VmContext, vmId: string, why: AppError): Promise<void> {
  const row = await patchUpdate(ctx, vmId, { state: 'failed', error: why.toBody() }, beforeSwap);
  const { code, message } = why;
  ctx.log.warn({ vmId, code, reason: message }, 'a CLI VM did not get another root; it keeps the one that it has');
  if (row) await tidy(ctx, row);
}

/** Stops the VM after a last look at its credentials, and puts the new root in place of the old one. Undefined where that is not made. */
export function swap(ctx: VmContext, vmId: string): Promise<VmRow | undefined> {
  return ctx.turns.run(vmId, async () => {
    await stopRestNow(ctx, vmId);
    const row = await rows.get(ctx, vmId);
    const update = row?.rootUpdate;
    if (!row || update?.state !== 'copied' || update.to === null) return undefined;
    const runs = row.state === 'running' || row.state === 'starting';
    if (runs) {
      // Before the stop, which may break off: it runs in the end all the same.
      await patchUpdate(ctx, vmId, { run: true }, ['copied']);
      await stopNow(ctx, vmId);
    }
    const from = rootOf(row);
    const patch = { state: 'proving', from, run: update.run || runs } as const;
    const swapped = await swapRoots(ctx, vmId, { from, to: update.to, patch });
    if (swapped) ctx.log.info({ vmId, from, to: update.to }, 'a CLI VM has another root, which is to be proved');
    return swapped;
  });
}

/**
 * The VM with a root that may be used: it runs from the new one, every login proved; or it stands still, with the old one back. Only as
 * the preparation of its user.
 * @throws AppError what speaks neither for the new root nor against it
 */
export async function settled(ctx: VmContext, row: VmRow, onProgress: OnProgress): Promise<VmRow> {
  if (row.rootUpdate?.state !== 'proving') return row;
  await requireWanted(ctx, row);
  try {
    const ready = await bringUpRoot(ctx, row, onProgress);
    onProgress('asking the CLIs whether their logins work');
    await ctx.guard.proved(ready, reachOf(ctx));
    const proved = await endUpdate(ctx, row.id, ['proving']);
    // Destroyed meanwhile, or it has another root: none of its roots is known to be an old one.
    if (!proved) return ready;
    ctx.log.info({ vmId: row.id, root: rootOf(proved) }, 'the new root of a CLI VM is proved');
    await tidy(ctx, proved);
    return proved;
  } catch (error) {
    const why = AppError.from(error);
    if (ctx.signal.aborted || notOfRoot.includes(why.code)) throw why;
    const { broken } = row.rootUpdate;
    const again = maybeKilled.includes(why.code) && broken === 0;
    const next = again && (await patchUpdate(ctx, row.id, { broken: broken + 1 }, ['proving']));
    return next ? settled(ctx, next, onProgress) : putBack(ctx, row.id, why);
  }
}

const wasStopped = (vmId: string): AppError =>
  new AppError('vm_not_running', `VM ${vmId} was stopped.`, { hint: 'Its next use starts it again.' });

/** Whoever stops the VM between two roots has the last word. @throws AppError vm_not_running */
async function requireWanted(ctx: VmContext, { id, rootUpdate }: VmRow): Promise<void> {
  await ctx.turns.settled(id);
  if (rootUpdate?.run === true && (await rows.get(ctx, id))?.rootUpdate?.run === false) throw wasStopped(id);
}

/** @throws AppError `why` when the VM is gone */
function putBack(ctx: VmContext, vmId: string, why: AppError): Promise<VmRow> {
  const { code, message } = why;
  ctx.log.warn({ vmId, code, reason: message }, 'the new root of a CLI VM is no good; the old one comes back');
  return ctx.turns.run(vmId, async () => {
    await stopRestNow(ctx, vmId);
    const row = await rows.get(ctx, vmId);
    if (row?.state === 'running' || row?.state === 'starting') await stopNow(ctx, vmId);
    const old = row?.rootUpdate?.from;
    const patch = { state: 'failed', error: why.toBody() } as const;
    const back = row && old ? await swapRoots(ctx, vmId, { from: rootOf(row), to: old, patch }) : undefined;
    if (!back) throw why;
    await tidy(ctx, back);
    return back;
  });
}

/** Takes away what is not the root of the VM. What cannot be is left for the next time. */
export async function tidy({ engine, log }: VmContext, { id, rootNumber }: VmRow): Promise<void> {
  await engine.keepRoots(id, [rootNumber]).catch((error: unknown) => {
    log.warn({ err: error, vmId: id }, 'old roots of a CLI VM could not be removed');
  });
}

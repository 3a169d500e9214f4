/**
 * Brings CLI VMs to another root: those that somebody has asked for, and on demand those that stand still. Roots are copied one after the
 * other; what follows waits for guests, and is done VM by VM, a few at a time, so that one that hangs keeps no other one waiting.
 */
import { AppError } from '@airlock/contract/errors';
import { homeDiskProtocol } from '@airlock/contract/guest';
import { startLoop, type Loop } from '../../lib/loop.js';
import { isInUse, stopNow, stopUnused } from '../cli-stop.js';
import type { VmContext } from '../context.js';
import { checkRoom } from '../room.js';
import * as rows from '../rows.js';
import { ownerOf, type VmRow } from '../vm.js';
import { bringUpRoot } from '../bring-up.js';
import { bringUp, hasImage, makeRoot, mayBegin, noRoom, settled, swap } from './replace.js';
import { askForUpdate, liveClis, updating } from './rows.js';

/** So many VMs are started from new roots at a time. */
const atOnce = 4;

const silent = (): void => undefined;

/** Looks each `everyMs` what there is to do. */
export function startUpdater(ctx: VmContext, everyMs: number): Loop {
  return startLoop({ name: 'updates of CLI VMs', everyMs, turn: () => turn(ctx), log: ctx.log });
}

async function turn(ctx: VmContext): Promise<void> {
  const asked = await ofPeople(ctx, await updating(ctx));
  for (const row of asked) {
    if (ctx.halted || ctx.signal.aborted) return;
    if (!ctx.updating.has(row.id)) await bringFurther(ctx, row).catch(hasToWait(ctx, row));
  }
  const isBusy = asked.some(({ rootUpdate }) => rootUpdate?.state === 'waiting' || rootUpdate?.state === 'copying');
  if (!isBusy && ctx.settings.AIRLOCK_CLI_UPDATE === 'idle') await askForOne(ctx);
}

/** Without those of users who are kept out: nothing of theirs is copied or started; what was begun waits until they are let in. */
async function ofPeople(ctx: VmContext, found: readonly VmRow[]): Promise<VmRow[]> {
  const keptOut = await Promise.all(found.map((row) => isKeptOut(ctx, row)));
  return found.filter((_row, at) => !keptOut[at]);
}

async function isKeptOut({ proxyPort }: VmContext, vm: VmRow): Promise<boolean> {
  try {
    await proxyPort(ownerOf(vm));
    return false;
  } catch (error) {
    if (['user_disabled', 'not_found'].includes(AppError.from(error).code)) return true;
    throw error;
  }
}

const hasToWait =
  ({ log, signal }: VmContext, { id }: VmRow) =>
  (error: unknown): void => {
    const { code, message } = AppError.from(error);
    if (!signal.aborted) log.warn({ vmId: id, code, reason: message }, 'another root for a CLI VM has to wait');
  };

/** As far as it can go now: what uses the VM is waited for. Guests are not. */
async function bringFurther(ctx: VmContext, row: VmRow): Promise<void> {
  if (row.rootUpdate?.state === 'proving') {
    // The sweep ends a stop that was left, which says nothing about the root.
    if (row.state === 'stopping' || !ctx.unproved.has(row.id)) return;
    return begin(ctx, row, (before) => {
      ctx.unproved.delete(row.id);
      return bringUp(ctx, before, silent);
    });
  }
  const made = await makeRoot(ctx, row, true);
  // Their user may have been kept out meanwhile.
  if (!made?.rootUpdate || (await isKeptOut(ctx, made)) || (!made.rootUpdate.now && (await isInUse(ctx, made)))) return;
  // All were stopped while it was copied.
  if (ctx.halted || (made.state === 'stopped' && !(await hasRoomToStart(ctx, made)))) return;
  begin(ctx, made, () => replace(ctx, made));
}

/** Does the part that waits for the guest in the background; not while there are too many, each of which has an end. */
function begin(ctx: VmContext, row: VmRow, work: (before: VmRow) => Promise<VmRow>): void {
  if (ctx.updating.size() >= atOnce) return;
  const done = ctx.updating.run(row.id, () => prepare(ctx, row, work).catch(hasToWait(ctx, row)));
  ctx.background.own(done, 'another root for a CLI VM has to wait', { vmId: row.id });
}

/** What there is no room for now is looked at again in the next turn: nobody is told each time. */
async function hasRoomToStart(ctx: VmContext, vm: VmRow): Promise<boolean> {
  try {
    await checkRoom(ctx, { userId: ownerOf(vm), browser: false, cli: true });
    return true;
  } catch (error) {
    const { code, message } = AppError.from(error);
    if (!noRoom.includes(code)) throw error;
    ctx.log.debug({ vmId: vm.id, code, reason: message }, 'a new root waits for room to be started from');
    return false;
  }
}

/** Whoever wants to use the VM meanwhile waits for `work`; a VM that stood still does so again, unless somebody does. */
async function prepare(ctx: VmContext, vm: VmRow, work: (before: VmRow) => Promise<VmRow>): Promise<void> {
  const { id, rootUpdate } = vm;
  const userId = ownerOf(vm);
  const before = await rows.get(ctx, id);
  const isTaken = rootUpdate?.state === 'copied' && !rootUpdate.now && ctx.uses.has(userId);
  // Somebody else may have brought it further.
  if (!before || before.rootUpdate?.state !== rootUpdate?.state) return;
  if (ctx.preparations.has(userId) || isTaken) return;
  await ctx.preparations.run(userId, () => work(before));
  const isUp = before.rootUpdate?.state !== 'proving' && before.state !== 'stopped';
  const goesOn = isUp || before.rootUpdate?.run === true;
  if (!goesOn) await ctx.turns.run(id, () => stopNow(ctx, id, () => stopUnused(ctx, before, new Date())));
}

/** The VM, running, from whichever root is in use then. */
async function replace(ctx: VmContext, { id }: VmRow): Promise<VmRow> {
  const row = (await swap(ctx, id)) ?? (await rows.get(ctx, id));
  if (!row) throw new AppError('not_found', `There is no VM ${id}.`);
  return bringUpRoot(ctx, await settled(ctx, row, silent), silent);
}

/** Asks for a newer root in place of somebody: for one VM that stands still, so that the next one waits until this one is done. */
async function askForOne(ctx: VmContext): Promise<void> {
  const image = await ctx.images.current().catch(() => null);
  if (image === null || image.manifest.guestProtocol < homeDiskProtocol) return;
  const { id: imageId } = image.manifest;
  for (const row of await liveClis(ctx)) {
    const isUnderWay = row.rootUpdate !== null && row.rootUpdate.state !== 'failed';
    if (row.state !== 'stopped' || isUnderWay || hasImage(row, imageId) || !mayBegin(row.rootUpdate, imageId)) continue;
    if (ctx.turns.has(row.id) || (await isInUse(ctx, row)) || (await isKeptOut(ctx, row))) continue;
    ctx.log.info(
      { vmId: row.id, from: row.imageId, imageId },
      'a CLI VM that stands still is brought to a newer image',
    );
    return void (await askForUpdate(ctx, row.id, { kind: 'update', now: false, run: false }));
  }
}

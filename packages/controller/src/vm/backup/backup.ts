/** Reading the home of a CLI VM into a backup: the VM stands still as long as that takes. */
import { Readable } from 'node:stream';
import { AppError } from '@airlock/contract/errors';
import { prepareSeal, type Seal } from '../../lib/sealed-stream.js';
import { attended, requireMade, startNow } from '../by-hand.js';
import { isInUse, stopNow } from '../cli-stop.js';
import type { VmContext } from '../context.js';
import * as rows from '../rows.js';
import { type BackupRequest, ownerOf, type VmRow } from '../vm.js';
import { sealHome } from './form.js';

/** Milliseconds after which a backup that nobody reads any more is given up, so that the VM can be used again. */
const unreadMs = 60_000;

/** See `Vms.backup`. */
export async function backup(ctx: VmContext, vmId: string, request: BackupRequest): Promise<Readable> {
  const row = await requireMade(ctx, vmId);
  if (!request.now && (await isTaken(ctx, row))) throw inUse(vmId);
  // Before anything is stopped: what is wrong with these does not cost anybody a prompt.
  const homeKey = await ctx.homeKeys.openHomeKey(vmId);
  const seal = await prepareSeal(request.passphrase);
  // Nobody stops a VM in the middle of the proof of a new root.
  if (request.now) await ctx.preparations.settled(ownerOf(row));
  return new Promise((resolve, reject) => {
    const read = (): Promise<void> => readHome(ctx, row, { seal, homeKey, user: request.user, begin: resolve });
    // Once it has begun, the end of the stream tells whoever reads it.
    whileStill(ctx, row, request.now, read).catch(reject);
  });
}

/** Stops the VM, does `work`, and starts the VM again if it ran; nothing else starts it meanwhile. */
async function whileStill(ctx: VmContext, row: VmRow, now: boolean, work: () => Promise<void>): Promise<void> {
  const ran = await ctx.turns.run(row.id, async () => {
    const before = await rows.get(ctx, row.id);
    await stopNow(ctx, row.id, async () =>
      now || !(await isTaken(ctx, row)) ? rows.apply(ctx, row.id, 'stop') : undefined,
    );
    const state = (await rows.get(ctx, row.id))?.state ?? 'destroyed';
    if (isUp(state)) throw inUse(row.id);
    if (state !== 'stopped') throw gone(row.id, state);
    try {
      await work();
    } finally {
      if (before && isUp(before.state)) await startAgain(ctx, row.id);
    }
    return before !== undefined && isUp(before.state);
  });
  if (ran) await attended(ctx, row.id);
}

const isUp = (state: VmRow['state']): boolean => state === 'starting' || state === 'running';

async function isTaken(ctx: VmContext, row: VmRow): Promise<boolean> {
  return ctx.preparations.has(ownerOf(row)) || (await isInUse(ctx, row));
}

async function startAgain(ctx: VmContext, vmId: string): Promise<void> {
  if (ctx.halted || ctx.signal.aborted) return;
  await startNow(ctx, vmId).catch((error: unknown) => {
    const { code, message } = AppError.from(error);
    ctx.log.warn({ vmId, code, reason: message }, 'a CLI VM did not start again after a backup of its home');
  });
}

interface Reading {
  seal: Seal;
  homeKey: string;
  user: string;
  begin(stream: Readable): void;
}

/** Resolves when the stream, which `begin` is given, has ended or was left. */
async function readHome(ctx: VmContext, row: VmRow, { seal, homeKey, user, begin }: Reading): Promise<void> {
  const { id: vmId, imageId } = row;
  const { extents, sizeBytes, takenBytes } = await ctx.engine.readHome(vmId);
  const about = { madeAt: new Date().toISOString(), vmId, user, imageId, sizeBytes, takenBytes, homeKey };
  const unread = (): void => end(new AppError('aborted', `Nobody has read on for ${unreadMs / 1000} seconds.`));
  const pieces = watched(sealHome(seal, about, extents), unread);
  const stream = Readable.from(pieces, { objectMode: false });
  const end = (why: AppError): void => void stream.destroy(why);
  const onShutdown = (): void => end(AppError.from(ctx.signal.reason));
  const onChange = ({ state }: VmRow): void => end(gone(vmId, state));
  ctx.signal.addEventListener('abort', onShutdown);
  ctx.changes.on(vmId, onChange);
  stream.on('error', (error: unknown) => {
    const { code, message } = AppError.from(error);
    ctx.log.warn({ vmId, code, reason: message }, 'a backup of a home has broken off');
  });
  ctx.log.info({ vmId, sizeBytes, takenBytes }, 'a home is being backed up');
  try {
    await new Promise<void>((resolve) => {
      stream.once('close', resolve);
      begin(stream);
    });
  } finally {
    ctx.signal.removeEventListener('abort', onShutdown);
    ctx.changes.off(vmId, onChange);
  }
  ctx.log.info({ vmId, whole: stream.readableEnded }, 'a home is not read any more');
}

/** The same pieces; `onUnread` when nobody has asked for the next one for too long. */
async function* watched(pieces: AsyncIterable<Buffer>, onUnread: () => void): AsyncGenerator<Buffer, void> {
  for await (const piece of pieces) {
    const timer = setTimeout(onUnread, unreadMs);
    try {
      yield piece;
    } finally {
      clearTimeout(timer);
    }
  }
}

function inUse(vmId: string): AppError {
  return new AppError('vm_in_use', `VM ${vmId} is in use: prompts run in it, a sign-in goes on, or it is starting.`, {
    hint: 'Wait until that has ended, or stop it all the same: `--now` (`now` in the API).',
  });
}

const gone = (vmId: string, state: VmRow['state']): AppError =>
  new AppError('vm_not_running', `VM ${vmId} is ${state}: its home cannot be read.`);

/** Follows the runner of each VM by long polling and applies what it reports to the VM's row. */
import { and } from 'drizzle-orm';
import { AppError } from '@airlock/contract/errors';
import type { RunnerStatus } from '@airlock/contract/runner';
import type { VmContext } from './context.js';
import * as rows from './rows.js';
import type { VmRow } from './vm.js';

/** One start of a VM. */
export interface Followed {
  epoch: number;
  stop: AbortController;
  done: Promise<void>;
  last: RunnerStatus | undefined;
}

/** Starts following a VM whose runner lives; a second call changes nothing. */
export function watch(ctx: VmContext, { id, epoch }: VmRow): void {
  if (ctx.followed.has(id)) return;
  const entry: Followed = { epoch, stop: new AbortController(), done: Promise.resolve(), last: undefined };
  ctx.followed.set(id, entry);
  entry.done = follow(ctx, id, entry).catch((error: unknown) =>
    ctx.log.error({ err: error, vmId: id }, 'watching a VM failed'),
  );
}

/** Stops following. */
export function forget(ctx: VmContext, vmId: string): void {
  ctx.followed.get(vmId)?.stop.abort();
  ctx.followed.delete(vmId);
}

/** Stops following all of them. */
export async function forgetAll(ctx: VmContext): Promise<void> {
  const all = [...ctx.followed.values()];
  for (const entry of all) entry.stop.abort();
  await Promise.all(all.map((entry) => entry.done));
}

async function follow(ctx: VmContext, vmId: string, entry: Followed): Promise<void> {
  const signal = AbortSignal.any([entry.stop.signal, ctx.signal]);
  let revision = -1;
  try {
    for (;;) {
      const status = await nextWord(ctx, vmId, revision, signal);
      revision = status.revision;
      await mirror(ctx, vmId, entry, status);
      entry.last = status;
      ctx.heard.emit(vmId);
    }
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof AppError)) throw error;
  }
  await ctx.turns.run(vmId, () => conclude(ctx, vmId, entry));
}

/** The next status. A call can be lost on its way while the runner lives on: only a runner that is gone, or deaf, has ended. */
async function nextWord(ctx: VmContext, vmId: string, after: number, signal: AbortSignal): Promise<RunnerStatus> {
  try {
    return await ctx.engine.nextStatus(vmId, after, signal);
  } catch (error) {
    if (signal.aborted || !(error instanceof AppError)) throw error;
    const heard = await ctx.engine.status(vmId);
    if (!heard?.alive) throw error;
    ctx.log.info({ vmId, reason: error.message }, 'a call to the runner of a VM was lost; the VM runs on');
    return heard.status;
  }
}

async function mirror(ctx: VmContext, vmId: string, entry: Followed, status: RunnerStatus): Promise<void> {
  const timings = timingsOf(status);
  if (status.phase === 'waiting' && entry.last?.phase !== 'waiting') {
    const patch = { timings, readyAt: new Date(status.readyAt ?? Date.now()) };
    // A controller that was killed may have written already whose it is.
    if (await rows.apply(ctx, vmId, 'waits', { patch, when: and(rows.ofEpoch(entry.epoch), rows.isNobodys) })) return;
  }
  if (status.phase === 'ready' && entry.last?.phase !== 'ready') {
    const patch = { timings, readyAt: new Date(status.readyAt ?? Date.now()) };
    if (await rows.apply(ctx, vmId, 'ready', { patch, when: rows.ofEpoch(entry.epoch) })) return;
  }
  const known = entry.last && timingsOf(entry.last);
  if (JSON.stringify(known) !== JSON.stringify(timings)) await rows.noteTimings(ctx, vmId, timings);
}

const since = (start: number | null, end: number | null): number | null =>
  start === null || end === null ? null : end - start;

const timingsOf = ({ poweredOnAt, vncAt, agentAt, readyAt }: RunnerStatus): VmRow['timings'] => ({
  vncMs: since(poweredOnAt, vncAt),
  agentMs: since(poweredOnAt, agentAt),
  readyMs: since(poweredOnAt, readyAt),
});

/** The runner has ended by itself: the VM is gone. A CLI VM keeps its disks and can start again. */
async function conclude(ctx: VmContext, vmId: string, { epoch, stop }: Followed): Promise<void> {
  if (stop.signal.aborted) return;
  ctx.followed.delete(vmId);
  const row = await rows.get(ctx, vmId);
  if (row?.epoch !== epoch || !['starting', 'waiting', 'running'].includes(row.state)) return;
  const error = await endOfRunner(ctx, vmId);
  const patch = { error, readyAt: null };
  const kept = row.kind === 'cli';
  try {
    await ctx.engine.stop(vmId, 0);
    if (!kept) await ctx.engine.remove(vmId);
    await rows.apply(ctx, vmId, kept ? 'ended' : 'failed', { patch });
  } catch (failure) {
    ctx.log.error({ err: failure, vmId }, 'a VM that ended was not cleaned up; trying again');
    if (kept) await rows.apply(ctx, vmId, 'stop', { patch });
    else await rows.apply(ctx, vmId, 'destroy', { patch: { ...patch, destroyAt: new Date() } });
  }
  ctx.log.warn({ vmId, code: error.code, reason: error.message }, 'VM ended');
}

async function endOfRunner(ctx: VmContext, vmId: string): Promise<NonNullable<VmRow['error']>> {
  try {
    const last = (await ctx.engine.status(vmId))?.status;
    if (last?.error) return last.error;
  } catch (error) {
    return AppError.from(error).toBody();
  }
  const hint = `See its logs: npx airlock vm logs ${vmId}`;
  return new AppError('vm_lost', 'The VM ended unexpectedly.', { hint }).toBody();
}

/** The sessions that are driven now: begun, ended, resumed after a restart, and what they made taken away. */
import type { Logger } from 'pino';
import { AppError } from '@airlock/contract/errors';
import { isFinal } from '@airlock/contract/session';
import type { Actor } from '../audit/audit.js';
import type { Queue } from '../lib/keyed.js';
import { startLoop, type Loop } from '../lib/loop.js';
import { startClock, type OpenStatus } from './clocks.js';
import { driveSession } from './drive.js';
import type { DriveDeps } from './driven.js';
import type { SessionChange, SessionRow } from './rows.js';
import { startUpkeep } from './upkeep.js';

interface Run {
  stop: AbortController;
  done: Promise<void>;
  /** When input at the desktop was looked at last, in ms. */
  activeAt: number;
}

/** What the functions of this folder share while a controller lives. */
export interface RunContext extends DriveDeps {
  log: Logger;
  /** See `ClockSettings`. */
  bootBoundMs: number;
  sweepMs: number;
  /** By user: sign-ins that are being started. */
  readonly starts: Queue;
  /** By session: those that are driven. */
  readonly running: Map<string, Run>;
  /** Since the first session. */
  upkeep: Loop | undefined;
  /** Removes old records, from `resumeAll` on. */
  retention: Loop | undefined;
  closing: boolean;
}

const retentionIntervalMs = 3_600_000;

/** Takes the session on from wherever its row says it is. */
export function run(ctx: RunContext, row: SessionRow): void {
  keepUp(ctx);
  const stop = new AbortController();
  const done = driveSession(row.id, ctx, stop.signal)
    .catch((error: unknown) =>
      ctx.closing || stop.signal.aborted ? undefined : end(ctx, row.id, AppError.from(error)),
    )
    .catch((error: unknown) => ctx.log.error({ err: error, sessionId: row.id }, 'session could not be ended cleanly'))
    .finally(() => ctx.running.delete(row.id));
  ctx.running.set(row.id, { stop, done, activeAt: 0 });
}

function keepUp(ctx: RunContext): void {
  const { rows, sweepMs, log } = ctx;
  ctx.upkeep ??= startUpkeep({ rows, sweepMs, log, onExpired: (row) => beginRelease(ctx, row) });
}

/** A session that could not go on: told in its row first, then everything that it made is taken away. */
async function end(ctx: RunContext, sessionId: string, error: AppError): Promise<void> {
  const { rows, log } = ctx;
  if (error.code === 'internal') log.error({ err: error, sessionId }, 'session failed by an internal fault');
  const row = await rows.apply(sessionId, 'fail', { patch: { error: error.toBody() } });
  if (!row) return;
  log.info({ sessionId, code: error.code, reason: error.message }, 'session ended without success');
  await release(ctx, row);
}

/** For a session that somebody else than its driver has ended. */
export async function stopAndRelease(ctx: RunContext, row: SessionRow): Promise<void> {
  const active = ctx.running.get(row.id);
  active?.stop.abort(new AppError('aborted', 'The session has ended.'));
  await active?.done;
  await release(ctx, row);
}

/** See `Sessions.endAll`. */
export async function endAll(ctx: RunContext, by: Actor): Promise<void> {
  const stopped = new AppError('vm_not_running', 'The administrator has stopped all VMs.', {
    hint: 'Connect again, unless you were told that there is work on the server.',
  });
  await endEach(ctx, await ctx.rows.open(), 'fail', { by, patch: { error: stopped.toBody() } });
}

/** See `Sessions.cancelAll`. */
export async function cancelAll(ctx: RunContext, userId: string, by: Actor): Promise<void> {
  const open = (await ctx.rows.open()).filter((row) => row.userId === userId);
  await endEach(ctx, open, 'cancel', { by });
}

async function endEach(
  ctx: RunContext,
  all: readonly SessionRow[],
  event: 'fail' | 'cancel',
  change: SessionChange,
): Promise<void> {
  const endOne = async ({ id }: SessionRow): Promise<void> => {
    const row = await ctx.rows.apply(id, event, change);
    if (!row) return;
    ctx.log.info({ sessionId: id, status: row.status }, 'session ended by an administrator');
    await stopAndRelease(ctx, row);
  };
  await Promise.all(all.map(endOne));
}

/** As `stopAndRelease`, in the background: a VM that does not go holds up neither another session nor a start of the controller. */
function beginRelease(ctx: RunContext, row: SessionRow): void {
  const what = 'what an ended session had made could not be taken away';
  ctx.background.own(stopAndRelease(ctx, row), what, { sessionId: row.id });
}

/** Takes away what a session that did not complete has made, and nothing else. The custodian puts back what it overwrote. */
async function release({ vault, vms, rows }: RunContext, row: SessionRow): Promise<void> {
  await vault.discard(row.id);
  if (row.browserVmId) await vms.destroy(row.browserVmId);
  const made = (await vms.list(row.userId)).filter((vm) => vm.sessionId === row.id);
  const connected = (await vault.list(row.userId)).length > 0;
  const others = (await rows.open()).some((other) => other.userId === row.userId);
  for (const vm of made) {
    if (vm.kind === 'browser' || (!connected && !others)) await vms.destroy(vm.id);
  }
}

/** After a start of the controller: goes on with every session that is not final, and begins to take away what ended ones left. */
export async function resumeAll(ctx: RunContext): Promise<void> {
  const { rows, log } = ctx;
  const settings = { ...ctx.settings, bootBoundMs: ctx.bootBoundMs };
  for (const row of await rows.open()) {
    log.info({ sessionId: row.id, status: row.status }, 'session resumed');
    // The person's clock goes on; what the VMs do gets its time again, for nobody worked at it meanwhile.
    const clock = startClock(row.status as OpenStatus, row, 'progress', { settings, now: new Date() });
    if (row.status !== 'awaiting_user_auth') await rows.apply(row.id, 'progress', { patch: clock });
    run(ctx, row);
  }
  keepUp(ctx);
  await releaseLeftovers(ctx);
  const turn = (): Promise<void> => removeOld(ctx, new Date());
  ctx.retention = startLoop({ name: 'removal of old sessions', everyMs: retentionIntervalMs, atOnce: true, turn, log });
}

/** VMs whose session ended without success while nobody could take them away. */
async function releaseLeftovers(ctx: RunContext): Promise<void> {
  const left = (await ctx.vms.list(null)).filter(({ state }) => state !== 'destroyed' && state !== 'failed');
  for (const sessionId of new Set(left.map((vm) => vm.sessionId))) {
    const row = sessionId === null ? undefined : await ctx.rows.get(sessionId);
    if (row && isFinal(row.status) && row.status !== 'completed') beginRelease(ctx, row);
  }
}

/** Removes the records of sessions that ended more than AIRLOCK_KEEP_DAYS before `now`. */
export async function removeOld({ rows, settings, log }: RunContext, now: Date): Promise<void> {
  const before = new Date(now.getTime() - settings.AIRLOCK_KEEP_DAYS * 86_400_000);
  const removed = await rows.removeEnded(before);
  if (removed > 0) log.info({ rows: removed, before }, 'old records of sessions removed');
}

/** Stops driving; rows stay as they are. */
export async function closeRuns(ctx: RunContext): Promise<void> {
  ctx.closing = true;
  await Promise.all([ctx.upkeep?.stop(), ctx.retention?.stop()]);
  const all = [...ctx.running.values()];
  for (const { stop } of all) stop.abort(new AppError('shutting_down', 'The controller is shutting down.'));
  await Promise.all([...all.map(({ done }) => done), ctx.background.settled()]);
}

/** What a person asks of a sign-in: start it, help it along, end it, follow it. The faces are described in session.ts. */
import { AppError } from '@airlock/contract/errors';
import { LoginStatus } from '@airlock/contract/guest';
import type { ProviderId } from '@airlock/contract/provider/provider';
import { providers } from '@airlock/contract/provider/registry';
import type { Actor } from '../audit/audit.js';
import { isFinal, type FallbackRequest, type Session } from '@airlock/contract/session';
import { checkedSettings } from '@airlock/contract/provider/setting';
import { commandFor } from '@airlock/contract/provider/way';
import { quotaExceeded } from '../lib/quota.js';
import { activeDeadline, extendedDeadline } from './clocks.js';
import { browserOf } from './driven.js';
import { run, stopAndRelease, type RunContext } from './running.js';
import { toSession, type SessionChange, type SessionRow } from './rows.js';
import { restartChange } from './sign-in.js';
import type { SessionEvent } from './transitions.js';

/** Input at the desktop is looked at no more often than this, in ms. */
const activityMs = 5000;
/** Sign-ins of a user are counted over this time, in ms. */
const quotaMs = 3_600_000;

/** @throws AppError not_found, also for a session of another user */
export async function owned({ rows }: RunContext, userId: string, sessionId: string): Promise<SessionRow> {
  const row = await rows.get(sessionId);
  if (row?.userId !== userId) throw new AppError('not_found', `There is no session ${sessionId}.`);
  return row;
}

export async function start(ctx: RunContext, userId: string, providerId: ProviderId, by: Actor): Promise<Session> {
  const provider = providers[providerId];
  if (provider.login === null) {
    throw new AppError('provider_unavailable', `Signing in to ${provider.name} is not part of this version yet.`, {
      hint: 'Connect another provider.',
    });
  }
  const row = await ctx.starts.run(userId, async () => {
    await requireQuota(ctx, userId);
    await ctx.vms.requireCapacity(userId, { browser: true });
    return ctx.rows.insert(userId, providerId, by);
  });
  run(ctx, row);
  return toSession(row);
}

/** @throws AppError quota_exceeded */
async function requireQuota({ rows, settings }: RunContext, userId: string): Promise<void> {
  const limit = settings.AIRLOCK_USER_SIGN_INS;
  const oldest = await rows.startedAt(userId, limit);
  const again = (oldest?.getTime() ?? -Infinity) + quotaMs;
  if (again <= Date.now()) return;
  const what = 'sign-ins within an hour';
  throw quotaExceeded({ name: 'sign_ins', limit, what, setting: 'AIRLOCK_USER_SIGN_INS' }, new Date(again));
}

export async function cancel(ctx: RunContext, userId: string, sessionId: string, by: Actor): Promise<Session> {
  const row = await applyAsked(ctx, await owned(ctx, userId, sessionId), 'cancel', { by });
  await stopAndRelease(ctx, row);
  return toSession(row);
}

export async function extend(ctx: RunContext, userId: string, sessionId: string): Promise<Session> {
  const limit = (row: SessionRow): Date => {
    const deadlineAt = extendedDeadline(row, ctx.settings);
    if (deadlineAt) return deadlineAt;
    throw new AppError('time_limit_reached', 'This sign-in has had all the time that one can have.', {
      hint: 'Finish it, or cancel it and start again.',
    });
  };
  const patch = (row: SessionRow) => ({ deadlineAt: limit(row) });
  return toSession(await applyAsked(ctx, await owned(ctx, userId, sessionId), 'extended', { patch }));
}

export async function restartLogin(
  ctx: RunContext,
  userId: string,
  sessionId: string,
  { method, settings }: FallbackRequest,
): Promise<Session> {
  const row = await owned(ctx, userId, sessionId);
  const { name, login } = providers[row.provider];
  if (!login || !commandFor(login, method)) {
    throw new AppError('provider_unavailable', `${name} cannot sign in by ${method}.`);
  }
  // Before the login that runs is ended for one that the agent does not know.
  if (method === 'callback' && !isFinal(row.status) && row.browserVmId) await ctx.vms.desktopGuest(row.browserVmId);
  if (settings) checkedSettings(providers[row.provider], settings);
  return toSession(await applyAsked(ctx, row, 'login_restarted', restartChange(method, { settings })));
}

export async function typeCode(ctx: RunContext, userId: string, sessionId: string, code: string): Promise<Session> {
  const row = await owned(ctx, userId, sessionId);
  if (row.status !== 'awaiting_user_auth' || !row.login?.takesCode) throw notWaiting(row);
  const guest = await ctx.vms.guest(browserOf(row));
  await guest.call('POST', '/login/input', LoginStatus, { body: { code } });
  return toSession(await owned(ctx, userId, sessionId));
}

export function noteActivity({ running, rows, settings, log }: RunContext, sessionId: string): void {
  const active = running.get(sessionId);
  if (!active || Date.now() - active.activeAt < activityMs) return;
  active.activeAt = Date.now();
  const wanted = (row: SessionRow) => activeDeadline(row, settings, new Date());
  rows
    .apply(sessionId, 'active', {
      patch: (row) => ({ deadlineAt: wanted(row) ?? row.deadlineAt }),
      when: (row) => wanted(row) !== undefined,
    })
    .catch((error: unknown) => log.warn({ err: error, sessionId }, 'activity could not be noted'));
}

export async function subscribe(
  ctx: RunContext,
  userId: string,
  sessionId: string,
  listener: (session: Session) => void,
): Promise<() => void> {
  await owned(ctx, userId, sessionId);
  let seen = -1;
  const show = (row: SessionRow): void => {
    if (row.revision <= seen) return;
    seen = row.revision;
    listener(toSession(row));
  };
  const unsubscribe = ctx.rows.onChange(sessionId, show);
  show(await owned(ctx, userId, sessionId));
  return unsubscribe;
}

/** @throws AppError session_finished, session_not_waiting */
async function applyAsked(
  ctx: RunContext,
  { userId, id }: SessionRow,
  event: SessionEvent,
  change: SessionChange = {},
): Promise<SessionRow> {
  const row = await ctx.rows.apply(id, event, change);
  if (row) return row;
  throw notWaiting(await owned(ctx, userId, id));
}

function notWaiting(row: SessionRow): AppError {
  if (isFinal(row.status)) return new AppError('session_finished', `Session ${row.id} has already ended.`);
  return new AppError('session_not_waiting', `Session ${row.id} is ${row.status} and cannot take this now.`, {
    hint: 'Look at its state, and try again once it waits for you.',
  });
}

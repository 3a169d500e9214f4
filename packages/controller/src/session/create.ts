/** Sign-in sessions: one driver each while this controller lives, resumed from their rows after a restart. */
import type { Logger } from 'pino';
import { AppError } from '@airlock/contract/errors';
import { LoginStatus } from '@airlock/contract/guest';
import { providers } from '@airlock/contract/provider/registry';
import { isFinal } from '@airlock/contract/session';
import type { Loop } from '../lib/loop.js';
import type { Store } from '../store/store.js';
import { activeDeadline, extendedDeadline, startClock, type OpenStatus } from './clocks.js';
import { driveSession } from './drive.js';
import { browserOf, type DriveDeps } from './driven.js';
import { createSessionRows, toSession, type SessionChange, type SessionRow } from './rows.js';
import type { Sessions } from './session.js';
import { restartChange } from './sign-in.js';
import type { SessionEvent } from './transitions.js';
import { startUpkeep } from './upkeep.js';

export interface SessionDeps extends Omit<DriveDeps, 'rows' | 'pollMs'> {
  store: Pick<Store, 'db'>;
  log: Logger;
  /** How often the agent is asked about the login, in ms; 1 s by default, and the original asks for at most 2 s. */
  pollMs?: number;
}

interface Running {
  stop: AbortController;
  done: Promise<void>;
  /** When input at the desktop was looked at last, in ms. */
  activeAt: number;
}

/** Input at the desktop is looked at no more often than this, in ms. */
const activityMs = 5000;

export function createSessions(deps: SessionDeps): Sessions {
  const { vms, vault, settings, log, pollMs = 1000 } = deps;
  const rows = createSessionRows(deps.store.db, settings);
  const running = new Map<string, Running>();
  let upkeep: Loop | undefined;
  let closing = false;

  async function owned(userId: string, sessionId: string): Promise<SessionRow> {
    const row = await rows.get(sessionId);
    if (row?.userId !== userId) throw new AppError('not_found', `There is no session ${sessionId}.`);
    return row;
  }

  function drive(row: SessionRow): void {
    upkeep ??= startUpkeep({ rows, log, onExpired: stopAndRelease });
    const stop = new AbortController();
    const done = driveSession(row.id, { ...deps, rows, pollMs }, stop.signal)
      .catch((error: unknown) => (closing || stop.signal.aborted ? undefined : end(row.id, AppError.from(error))))
      .catch((error: unknown) => log.error({ err: error, sessionId: row.id }, 'session could not be ended cleanly'))
      .finally(() => running.delete(row.id));
    running.set(row.id, { stop, done, activeAt: 0 });
  }

  /** A session that could not go on: told in its row first, then everything that it made is taken away. */
  async function end(sessionId: string, error: AppError): Promise<void> {
    if (error.code === 'internal') log.error({ err: error, sessionId }, 'session failed by an internal fault');
    const row = await rows.apply(sessionId, 'fail', { patch: { error: error.toBody() } });
    if (!row) return;
    log.info({ sessionId, code: error.code, reason: error.message }, 'session ended without success');
    await release(row);
  }

  /** For a session that somebody else than its driver has ended. */
  async function stopAndRelease(row: SessionRow): Promise<void> {
    const active = running.get(row.id);
    active?.stop.abort(new AppError('aborted', 'The session has ended.'));
    await active?.done;
    await release(row);
  }

  /** Takes away what a session that did not complete has made, and nothing else. The custodian puts back what it overwrote. */
  async function release(row: SessionRow): Promise<void> {
    await vault.discard(row.id);
    if (row.browserVmId) await vms.destroy(row.browserVmId);
    const made = (await vms.list(row.userId)).filter((vm) => vm.sessionId === row.id);
    const connected = (await vault.list(row.userId)).length > 0;
    const others = (await rows.open()).some((other) => other.userId === row.userId);
    for (const vm of made) {
      if (vm.kind === 'browser' || (!connected && !others)) await vms.destroy(vm.id);
    }
  }

  /** Applies what the person asked for. @throws AppError session_finished, session_not_waiting */
  async function ask(userId: string, sessionId: string, event: SessionEvent, change: SessionChange) {
    await owned(userId, sessionId);
    const row = await rows.apply(sessionId, event, change);
    if (row) return row;
    throw notWaiting(await owned(userId, sessionId));
  }

  return {
    async start(userId, providerId) {
      const provider = providers[providerId];
      if (provider.login === null) {
        throw new AppError('provider_unavailable', `Signing in to ${provider.name} is not part of this version yet.`, {
          hint: 'Connect another provider.',
        });
      }
      await vms.requireCapacity(userId);
      const row = await rows.insert(userId, providerId);
      drive(row);
      return toSession(row);
    },

    async get(userId, sessionId) {
      return toSession(await owned(userId, sessionId));
    },

    async list(userId) {
      return (await rows.list(userId)).map(toSession);
    },

    async cancel(userId, sessionId) {
      const row = await ask(userId, sessionId, 'cancel', {});
      await stopAndRelease(row);
      return toSession(row);
    },

    async extend(userId, sessionId) {
      const limit = (row: SessionRow): Date => {
        const deadlineAt = extendedDeadline(row, settings);
        if (deadlineAt) return deadlineAt;
        throw new AppError('time_limit_reached', 'This sign-in has had all the time that one can have.', {
          hint: 'Finish it, or cancel it and start again.',
        });
      };
      return toSession(await ask(userId, sessionId, 'extended', { patch: (row) => ({ deadlineAt: limit(row) }) }));
    },

    async restartLogin(userId, sessionId, method) {
      const { provider } = await owned(userId, sessionId);
      if (method === 'device_code' && !providers[provider].login?.deviceCode) {
        throw new AppError('provider_unavailable', `${providers[provider].name} has no sign-in by code.`);
      }
      return toSession(await ask(userId, sessionId, 'login_restarted', restartChange(method)));
    },

    async typeCode(userId, sessionId, code) {
      const row = await owned(userId, sessionId);
      if (row.status !== 'awaiting_user_auth' || !row.login?.takesCode) throw notWaiting(row);
      const guest = await vms.guest(browserOf(row));
      await guest.call('POST', '/login/input', LoginStatus, { body: { code } });
      return toSession(await owned(userId, sessionId));
    },

    noteActivity(sessionId) {
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
    },

    async subscribe(userId, sessionId, listener) {
      await owned(userId, sessionId);
      let seen = -1;
      const show = (row: SessionRow): void => {
        if (row.revision <= seen) return;
        seen = row.revision;
        listener(toSession(row));
      };
      const unsubscribe = rows.onChange(sessionId, show);
      show(await owned(userId, sessionId));
      return unsubscribe;
    },

    async resume() {
      for (const row of await rows.open()) {
        log.info({ sessionId: row.id, status: row.status }, 'session resumed');
        // The person's clock goes on; what the vms do gets its time again, for nobody worked at it meanwhile.
        const clock = startClock(row.status as OpenStatus, row, 'progress', settings, new Date());
        if (row.status !== 'awaiting_user_auth') await rows.apply(row.id, 'progress', { patch: clock });
        drive(row);
      }
      upkeep ??= startUpkeep({ rows, log, onExpired: stopAndRelease });
      await releaseLeftovers();
    },

    async close() {
      closing = true;
      await upkeep?.stop();
      const all = [...running.values()];
      for (const { stop } of all) stop.abort(new AppError('shutting_down', 'The controller is shutting down.'));
      await Promise.all(all.map(({ done }) => done));
    },
  };

  /** Browser VMs whose session ended without success while nobody could take them away. */
  async function releaseLeftovers(): Promise<void> {
    for (const vm of await vms.list(null)) {
      if (vm.sessionId === null || vm.state === 'destroyed' || vm.state === 'failed') continue;
      const row = await rows.get(vm.sessionId);
      if (row && isFinal(row.status) && row.status !== 'completed') await release(row);
    }
  }
}

function notWaiting(row: SessionRow): AppError {
  if (isFinal(row.status)) return new AppError('session_finished', `Session ${row.id} has already ended.`);
  return new AppError('session_not_waiting', `Session ${row.id} is ${row.status} and cannot take this now.`, {
    hint: 'Look at its state, and try again once it waits for you.',
  });
}

/** Sign-in sessions: one driver each while this controller lives, resumed from their rows after a restart. */
import type { Logger } from 'pino';
import { AppError } from '@airlock/contract/errors';
import { providers } from '@airlock/contract/provider/registry';
import { isFinal } from '@airlock/contract/session';
import type { Store } from '../store/store.js';
import { driveSession, type DriveDeps } from './drive.js';
import { createSessionRows, toSession, type SessionRow } from './rows.js';
import type { Sessions } from './session.js';

export interface SessionDeps extends Omit<DriveDeps, 'rows'> {
  store: Pick<Store, 'db'>;
  log: Logger;
}

interface Running {
  stop: AbortController;
  done: Promise<void>;
}

export function createSessions(deps: SessionDeps): Sessions {
  const { machines, vault, log } = deps;
  const rows = createSessionRows(deps.store.db);
  const running = new Map<string, Running>();
  let closing = false;

  async function owned(userId: string, sessionId: string): Promise<SessionRow> {
    const row = await rows.get(sessionId);
    if (row?.userId !== userId) throw new AppError('not_found', `There is no session ${sessionId}.`);
    return row;
  }

  function drive(row: SessionRow): void {
    const stop = new AbortController();
    const done = driveSession(row, { ...deps, rows }, stop.signal)
      .catch((error: unknown) => (closing || stop.signal.aborted ? undefined : end(row.id, AppError.from(error))))
      .catch((error: unknown) => log.error({ err: error, sessionId: row.id }, 'session could not be ended cleanly'))
      .finally(() => running.delete(row.id));
    running.set(row.id, { stop, done });
  }

  /** A session that could not go on: told in its row first, then everything that it made is taken away. */
  async function end(sessionId: string, error: AppError): Promise<void> {
    if (error.code === 'internal') log.error({ err: error, sessionId }, 'session failed by an internal fault');
    const event = error.code === 'sign_in_timeout' ? 'time_out' : 'fail';
    const row = await rows.apply(sessionId, event, { error: error.toBody() });
    if (!row) return;
    log.info({ sessionId, code: error.code, reason: error.message }, 'session ended without success');
    await release(row);
  }

  /** Takes away what a session that did not complete has made, and nothing else. */
  async function release(row: SessionRow): Promise<void> {
    await vault.discard(row.id);
    if (row.browserVmId) await machines.destroy(row.browserVmId);
    const made = (await machines.list(row.userId)).filter((vm) => vm.sessionId === row.id);
    const connected = (await vault.list(row.userId)).length > 0;
    const others = (await rows.open()).some((other) => other.userId === row.userId);
    for (const vm of made) {
      if (vm.kind === 'browser' || (!connected && !others)) await machines.destroy(vm.id);
    }
  }

  return {
    async start(userId, providerId) {
      const provider = providers[providerId];
      if (provider.login === null) {
        throw new AppError('provider_unavailable', `Signing in to ${provider.name} is not part of this version yet.`, {
          hint: 'Codex can be connected today.',
        });
      }
      await machines.requireCapacity(userId);
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
      await owned(userId, sessionId);
      const row = await rows.apply(sessionId, 'cancel');
      if (!row) throw new AppError('session_finished', `Session ${sessionId} has already ended.`);
      const active = running.get(sessionId);
      active?.stop.abort(new AppError('aborted', 'The session was cancelled.'));
      await active?.done;
      await release(row);
      return toSession(row);
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
        drive(row);
      }
      await releaseLeftovers();
    },

    async close() {
      closing = true;
      const all = [...running.values()];
      for (const { stop } of all) stop.abort(new AppError('shutting_down', 'The controller is shutting down.'));
      await Promise.all(all.map(({ done }) => done));
    },
  };

  /** Browser VMs whose session ended without success while nobody could take them away. */
  async function releaseLeftovers(): Promise<void> {
    for (const vm of await machines.list(null)) {
      if (vm.sessionId === null || vm.state === 'destroyed' || vm.state === 'failed') continue;
      const row = await rows.get(vm.sessionId);
      if (row && isFinal(row.status) && row.status !== 'completed') await release(row);
    }
  }
}

/** Sign-in sessions: one driver each while this controller lives, resumed from their rows after a restart. */
import type { Logger } from 'pino';
import { createBackground } from '@airlock/contract/background';
import { system, type Audit } from '../audit/audit.js';
import type { Store } from '../store/store.js';
import { createQueue } from '../lib/keyed.js';
import * as ask from './ask.js';
import type { DriveDeps } from './driven.js';
import { cancelAll, closeRuns, endAll, resumeAll, type RunContext } from './running.js';
import { createSessionRows, toSession } from './rows.js';
import type { Sessions } from './session.js';

export interface SessionDeps extends Omit<DriveDeps, 'rows' | 'pollMs' | 'background'> {
  store: Pick<Store, 'db'>;
  audit: Pick<Audit, 'note'>;
  log: Logger;
  /** See `ClockSettings`. */
  bootBoundMs: number;
  /** How often the agent is asked about the login, in ms; 1 s by default, and the original asks for at most 2 s. */
  pollMs?: number;
  /** How often clocks are looked at, in ms; 1 s by default. */
  sweepMs?: number;
}

export function createSessions(deps: SessionDeps): Sessions {
  const { pollMs = 1000, sweepMs = 1000, settings, bootBoundMs } = deps;
  const rows = createSessionRows(deps.store.db, deps.audit, { ...settings, bootBoundMs });
  const ctx: RunContext = {
    ...deps,
    pollMs,
    sweepMs,
    rows,
    starts: createQueue(),
    running: new Map(),
    background: createBackground(deps.log),
    upkeep: undefined,
    retention: undefined,
    closing: false,
  };
  return {
    start: (userId, provider, by = system) => ask.start(ctx, userId, provider, by),
    get: async (userId, sessionId) => toSession(await ask.owned(ctx, userId, sessionId)),
    list: async (userId) => (await rows.list(userId)).map(toSession),
    cancel: (userId, sessionId, by) => ask.cancel(ctx, userId, sessionId, by),
    extend: (userId, sessionId) => ask.extend(ctx, userId, sessionId),
    restartLogin: (userId, sessionId, method, settings) =>
      ask.restartLogin(ctx, userId, sessionId, { method, settings }),
    typeCode: (userId, sessionId, code) => ask.typeCode(ctx, userId, sessionId, code),
    noteActivity: (sessionId) => ask.noteActivity(ctx, sessionId),
    subscribe: (userId, sessionId, listener) => ask.subscribe(ctx, userId, sessionId, listener),
    endAll: (by) => endAll(ctx, by),
    cancelAll: (userId, by) => cancelAll(ctx, userId, by),
    forget: (userId) => rows.removeOf(userId),
    resume: () => resumeAll(ctx),
    close: () => closeRuns(ctx),
  };
}

/** Session rows: the one function that applies an event, persists it and tells listeners. */
import { EventEmitter } from 'node:events';
import { and, desc, eq, notInArray, sql } from 'drizzle-orm';
import { AppError } from '@airlock/contract/errors';
import { newId } from '@airlock/contract/ids';
import type { ProviderId } from '@airlock/contract/provider/provider';
import { finalStatuses, isFinal, type Session } from '@airlock/contract/session';
import type { Database } from '../store/store.js';
import { authSessions } from '../store/schema.js';
import { changeSteps, endSteps, newSteps, type StepChanges } from './steps.js';
import { nextStatus, type SessionEvent } from './transitions.js';

export type SessionRow = typeof authSessions.$inferSelect;
/** Columns that an event may set. */
export type SessionPatch = Partial<Pick<SessionRow, 'browserVmId' | 'cliVmId' | 'error' | 'expiresAt' | 'destroyAt'>>;

export interface SessionRows {
  insert(userId: string, provider: ProviderId): Promise<SessionRow>;
  get(sessionId: string): Promise<SessionRow | undefined>;
  list(userId: string): Promise<SessionRow[]>;
  open(): Promise<SessionRow[]>;
  /** Applies `event`; undefined when the session's status does not allow it (it has ended meanwhile): nothing is changed then. */
  apply(
    sessionId: string,
    event: SessionEvent,
    patch?: SessionPatch,
    steps?: StepChanges,
  ): Promise<SessionRow | undefined>;
  onChange(sessionId: string, listener: (row: SessionRow) => void): () => void;
}

/** PostgreSQL's code for a violated unique constraint. */
const uniqueViolation = '23505';

export function createSessionRows(db: Database): SessionRows {
  const changes = new EventEmitter().setMaxListeners(0);

  async function get(sessionId: string): Promise<SessionRow | undefined> {
    const [row] = await db.select().from(authSessions).where(eq(authSessions.id, sessionId));
    return row;
  }

  return {
    get,

    async insert(userId, provider) {
      try {
        const [row] = await db
          .insert(authSessions)
          .values({ id: newId('ses'), userId, provider, status: 'pending', steps: newSteps() })
          .returning();
        if (!row) throw new AppError('internal', 'The row of a session was not returned.');
        return row;
      } catch (error) {
        if (!isUniqueViolation(error)) throw error;
        throw new AppError('session_busy', `A sign-in for ${provider} is already under way.`, {
          hint: 'Continue it, or cancel it first.',
        });
      }
    },

    list: (userId) =>
      db
        .select()
        .from(authSessions)
        .where(eq(authSessions.userId, userId))
        .orderBy(desc(authSessions.createdAt))
        .limit(50),

    open: () =>
      db
        .select()
        .from(authSessions)
        .where(notInArray(authSessions.status, [...finalStatuses])),

    async apply(sessionId, event, patch = {}, steps = {}) {
      for (;;) {
        const row = await get(sessionId);
        if (!row) throw new AppError('not_found', `There is no session ${sessionId}.`);
        const status = nextStatus(row.status, event);
        if (status === undefined) return undefined;
        const now = new Date();
        const changed = changeSteps(row.steps, steps, now);
        const ended = isFinal(status) && status !== 'completed';
        const [updated] = await db
          .update(authSessions)
          .set({
            ...patch,
            ...(isFinal(status) && { expiresAt: null }),
            status,
            steps: ended ? endSteps(changed, now) : changed,
            revision: sql`${authSessions.revision} + 1`,
            updatedAt: now,
          })
          .where(and(eq(authSessions.id, sessionId), eq(authSessions.revision, row.revision)))
          .returning();
        // No row: somebody else changed the session in between; decide again from what it is now.
        if (!updated) continue;
        changes.emit(sessionId, updated);
        return updated;
      }
    },

    onChange(sessionId, listener) {
      changes.on(sessionId, listener);
      return () => changes.off(sessionId, listener);
    },
  };
}

function isUniqueViolation(error: unknown): boolean {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return typeof cause === 'object' && cause !== null && 'code' in cause && cause.code === uniqueViolation;
}

/** The session as the API shows it. `desktopReady`: whether its desktop can be opened now. */
export function toSession(row: SessionRow): Session {
  const shown: SessionRow['status'][] = ['ready', 'awaiting_user_auth', 'authenticating', 'delivering'];
  const kept = row.status === 'completed' && row.destroyAt !== null && row.destroyAt > new Date();
  return {
    id: row.id,
    sessionId: row.id,
    provider: row.provider,
    status: row.status,
    revision: row.revision,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
    expiresAt: row.expiresAt?.toISOString() ?? null,
    destroyAt: row.destroyAt?.toISOString() ?? null,
    browserVmId: row.browserVmId,
    cliVmId: row.cliVmId,
    desktopReady: row.browserVmId !== null && (shown.includes(row.status) || kept),
    steps: row.steps,
    error: row.error,
  };
}

/** Session rows: the one function that applies an event, persists it and tells listeners. */
import { EventEmitter } from 'node:events';
import { and, desc, eq, inArray, lt, lte, notInArray, sql } from 'drizzle-orm';
import { AppError } from '@airlock/contract/errors';
import { newId } from '@airlock/contract/ids';
import type { ProviderId } from '@airlock/contract/provider/provider';
import { finalStatuses, isFinal, type Session } from '@airlock/contract/session';
import { system, type Actor, type Audit } from '../audit/audit.js';
import type { Database, Transaction } from '../store/store.js';
import { authSessions } from './table.js';
import { startClock, type ClockSettings, type OpenStatus } from './clocks.js';
import { changeSteps, endSteps, newSteps, type StepChanges } from './steps.js';
import { nextStatus, type SessionEvent } from './transitions.js';

export type SessionRow = typeof authSessions.$inferSelect;
/** Columns that an event may set. */
export type SessionPatch = Partial<
  Pick<
    SessionRow,
    'browserVmId' | 'cliVmId' | 'error' | 'notice' | 'login' | 'deadlineAt' | 'deadlineMaxAt' | 'destroyAt'
  >
>;

export interface SessionChange {
  patch?: SessionPatch | ((row: SessionRow) => SessionPatch);
  steps?: StepChanges;
  /** Asked of the row as it is just before the change. */
  when?: (row: SessionRow) => boolean;
  /** Who ends it; Airlock by itself unless that is given. */
  by?: Actor;
}

export interface SessionRows {
  insert(userId: string, provider: ProviderId, by: Actor): Promise<SessionRow>;
  get(sessionId: string): Promise<SessionRow | undefined>;
  list(userId: string): Promise<SessionRow[]>;
  /** When the user started the newest session but `count - 1`; undefined when there are fewer. */
  startedAt(userId: string, count: number): Promise<Date | undefined>;
  open(): Promise<SessionRow[]>;
  /** Those whose clock has run out. */
  expired(): Promise<SessionRow[]>;
  /**
   * Applies `event`. Undefined when the session's status does not allow it (it has ended meanwhile), or `when` says no:
   * nothing is changed then. Entering a status starts its clock.
   */
  apply(sessionId: string, event: SessionEvent, change?: SessionChange): Promise<SessionRow | undefined>;
  /** Removes those that ended before `before`; answers how many. Nothing else refers to them any more. */
  removeEnded(before: Date): Promise<number>;
  /** Removes all of this user. */
  removeOf(userId: string): Promise<void>;
  onChange(sessionId: string, listener: (row: SessionRow) => void): () => void;
}

/** PostgreSQL's code for a violated unique constraint. */
const uniqueViolation = '23505';

interface RowsContext {
  db: Database;
  audit: Pick<Audit, 'note'>;
  settings: ClockSettings;
  /** Emits the row under the session's id after each change. */
  changes: EventEmitter;
}

export function createSessionRows(db: Database, audit: RowsContext['audit'], settings: ClockSettings): SessionRows {
  const ctx: RowsContext = { db, audit, settings, changes: new EventEmitter().setMaxListeners(0) };
  return {
    insert: (userId, provider, by) => insert(ctx, { userId, provider }, by),
    get: (sessionId) => get(db, sessionId),
    list: (userId) => listOf(db, userId),
    startedAt: (userId, count) => startedAt(db, userId, count),
    open: () => db.select().from(authSessions).where(isOpen),
    expired: () =>
      db
        .select()
        .from(authSessions)
        .where(and(isOpen, lte(authSessions.deadlineAt, new Date()))),
    apply: (sessionId, event, change) => apply(ctx, sessionId, event, change),
    removeEnded: (before) => removeEnded(db, before),
    removeOf: async (userId) => void (await db.delete(authSessions).where(eq(authSessions.userId, userId))),
    onChange(sessionId, listener) {
      ctx.changes.on(sessionId, listener);
      return () => ctx.changes.off(sessionId, listener);
    },
  };
}

const isOpen = notInArray(authSessions.status, [...finalStatuses]);

async function get(db: Database, sessionId: string): Promise<SessionRow | undefined> {
  const [row] = await db.select().from(authSessions).where(eq(authSessions.id, sessionId));
  return row;
}

const listOf = (db: Database, userId: string): Promise<SessionRow[]> =>
  db.select().from(authSessions).where(eq(authSessions.userId, userId)).orderBy(desc(authSessions.createdAt)).limit(50);

async function startedAt(db: Database, userId: string, count: number): Promise<Date | undefined> {
  const [row] = await db
    .select({ createdAt: authSessions.createdAt })
    .from(authSessions)
    .where(eq(authSessions.userId, userId))
    .orderBy(desc(authSessions.createdAt))
    .offset(count - 1)
    .limit(1);
  return row?.createdAt;
}

async function removeEnded(db: Database, before: Date): Promise<number> {
  const where = and(inArray(authSessions.status, [...finalStatuses]), lt(authSessions.updatedAt, before));
  return (await db.delete(authSessions).where(where).returning({ id: authSessions.id })).length;
}

async function insert(
  { db, audit, settings }: RowsContext,
  { userId, provider }: Pick<SessionRow, 'userId' | 'provider'>,
  actor: Actor,
): Promise<SessionRow> {
  try {
    const unset = { deadlineAt: null, deadlineMaxAt: null };
    const clock = startClock('pending', unset, 'progress', { settings, now: new Date() });
    const values = { id: newId('ses'), userId, provider, status: 'pending', steps: newSteps(), ...clock } as const;
    return await db.transaction(async (tx) => {
      const [row] = await tx.insert(authSessions).values(values).returning();
      if (!row) throw new AppError('internal', 'The row of a session was not returned.');
      await audit.note({ actor, action: 'session_started', userId, subject: row.id, details: { provider } }, tx);
      return row;
    });
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    throw new AppError('session_busy', `A sign-in for ${provider} is already under way.`, {
      hint: 'Continue it, or cancel it first.',
    });
  }
}

async function apply(
  ctx: RowsContext,
  sessionId: string,
  event: SessionEvent,
  { patch = {}, steps = {}, when, by = system }: SessionChange = {},
): Promise<SessionRow | undefined> {
  const { db, settings, changes } = ctx;
  for (;;) {
    const row = await get(db, sessionId);
    if (!row) throw new AppError('not_found', `There is no session ${sessionId}.`);
    const status = nextStatus(row.status, event);
    if (status === undefined || when?.(row) === false) return undefined;
    const now = new Date();
    const values = {
      steps: changedSteps(row, status, steps, now),
      ...changedClock(row, status, event, { settings, now }),
      revision: sql`${authSessions.revision} + 1`,
      updatedAt: now,
      ...(typeof patch === 'function' ? patch(row) : patch),
      status,
    };
    const isMine = and(eq(authSessions.id, sessionId), eq(authSessions.revision, row.revision));
    const write = (to: Pick<Database, 'update'>) => to.update(authSessions).set(values).where(isMine).returning();
    const [updated] = isFinal(status) ? await writeEnd(ctx, write, by) : await write(db);
    // No row: somebody else changed the session in between; decide again from what it is now.
    if (!updated) continue;
    changes.emit(sessionId, updated);
    return updated;
  }
}

/** The end of a session and the note of it: both, or neither. */
function writeEnd(
  { db, audit }: RowsContext,
  write: (to: Transaction) => Promise<SessionRow[]>,
  actor: Actor,
): Promise<SessionRow[]> {
  return db.transaction(async (tx) => {
    const rows = await write(tx);
    for (const { id, userId, provider, status, error } of rows) {
      const details = { provider, status, ...(error && { code: error.code }) };
      await audit.note({ actor, action: 'session_ended', userId, subject: id, details }, tx);
      if (status !== 'completed') continue;
      const stored = { userId, subject: provider, details: { method: 'login' } };
      await audit.note({ actor, action: 'credential_stored', ...stored }, tx);
    }
    return rows;
  });
}

function changedSteps(row: SessionRow, status: SessionRow['status'], steps: StepChanges, now: Date) {
  const after = changeSteps(row.steps, steps, now);
  return isFinal(status) && status !== 'completed' ? endSteps(after, now) : after;
}

/** A new status has a clock of its own; an ended session has none, and no login or notice either. */
function changedClock(
  row: SessionRow,
  status: SessionRow['status'],
  event: SessionEvent,
  at: { settings: ClockSettings; now: Date },
): Partial<SessionRow> {
  if (isFinal(status)) return { deadlineAt: null, deadlineMaxAt: null, login: null, notice: null };
  return status === row.status ? {} : startClock(status as OpenStatus, row, event, at);
}

function isUniqueViolation(error: unknown): boolean {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return typeof cause === 'object' && cause !== null && 'code' in cause && cause.code === uniqueViolation;
}

const iso = (date: Date | null): string | null => date?.toISOString() ?? null;

/** The session as the API shows it. `desktopReady`: whether its desktop can be opened now. */
export function toSession(row: SessionRow): Session {
  const shown: SessionRow['status'][] = ['ready', 'awaiting_user_auth', 'authenticating', 'delivering'];
  const waiting = row.status === 'awaiting_user_auth';
  const kept = row.status === 'completed' && row.destroyAt !== null && row.destroyAt > new Date();
  return {
    id: row.id,
    sessionId: row.id,
    provider: row.provider,
    status: row.status,
    revision: row.revision,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
    deadlineAt: iso(row.deadlineAt),
    expiresAt: waiting ? iso(row.deadlineAt) : null,
    expiresAtMost: waiting ? iso(row.deadlineMaxAt) : null,
    destroyAt: iso(row.destroyAt),
    browserVmId: row.browserVmId,
    cliVmId: row.cliVmId,
    desktopReady: row.browserVmId !== null && (shown.includes(row.status) || kept),
    steps: row.steps,
    login: row.login && {
      method: row.login.method,
      deviceCode: row.login.deviceCode,
      takesCode: row.login.takesCode,
    },
    notice: row.notice,
    error: row.error,
  };
}

/** The table of sign-ins. Only this folder reads and writes it. */
import { sql } from 'drizzle-orm';
import { index, integer, jsonb, text, uniqueIndex } from 'drizzle-orm/pg-core';
import type { ErrorBody } from '@airlock/contract/errors';
import type { ProviderId } from '@airlock/contract/provider/provider';
import type { LoginSettings } from '@airlock/contract/provider/setting';
import type { SessionLogin, SessionStatus, SessionStep } from '@airlock/contract/session';
import { airlock, at } from '../store/schema.js';

/** The login that is wanted in the VM. `attempt` grows with each; `started`: the agent was told. */
export interface StoredLogin extends SessionLogin {
  attempt: number;
  started: boolean;
  /** What the person has given for the CLI; the login that is in the VM stays then. */
  settings?: LoginSettings;
  /** Through a restart that the person did not ask for: until when their time runs, ISO 8601. */
  until?: string;
}

export const authSessions = airlock.table(
  'auth_sessions',
  {
    id: text().primaryKey(),
    userId: text('user_id').notNull(),
    provider: text().$type<ProviderId>().notNull(),
    status: text().$type<SessionStatus>().notNull(),
    revision: integer().notNull().default(0),
    steps: jsonb().$type<SessionStep[]>().notNull(),
    browserVmId: text('browser_vm_id'),
    cliVmId: text('cli_vm_id'),
    error: jsonb().$type<ErrorBody>(),
    createdAt: at('created_at').notNull().defaultNow(),
    updatedAt: at('updated_at').notNull().defaultNow(),
    /** When the clock of its status runs out; null once it has ended. */
    deadlineAt: at('deadline_at'),
    /** As far as the person's clock can be prolonged; null before it first runs. */
    deadlineMaxAt: at('deadline_max_at'),
    login: jsonb().$type<StoredLogin>(),
    /** Why the newest try did not succeed, while the session goes on. */
    notice: jsonb().$type<ErrorBody>(),
    destroyAt: at('destroy_at'),
  },
  (t) => [
    uniqueIndex('auth_sessions_one_open')
      .on(t.userId, t.provider)
      .where(sql`${t.status} not in ('completed', 'failed', 'timeout', 'cancelled')`),
    index('auth_sessions_user').on(t.userId, t.createdAt),
  ],
);

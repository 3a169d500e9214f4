/** Tables, as drizzle sees them. `migrations/` holds the SQL that makes them; `schema.test.ts` compares the two. */
import { sql } from 'drizzle-orm';
import {
  boolean,
  check,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
} from 'drizzle-orm/pg-core';
import type { ErrorBody } from '@airlock/contract/errors';
import type { SessionLogin, SessionStatus, SessionStep } from '@airlock/contract/session';
import type { CredentialHealth, VmKind, VmState } from '@airlock/contract/api';
import type { ProviderId } from '@airlock/contract/provider/provider';

const at = (name: string) => timestamp(name, { withTimezone: true, mode: 'date', precision: 3 });

export const users = pgTable('users', {
  id: text().primaryKey(),
  name: text().notNull().unique(),
  role: text().$type<'admin' | 'user'>().notNull(),
  /** The user's own port at the upstream proxy. */
  proxyPort: integer('proxy_port').notNull().unique(),
  /** SHA-256 (hex) of the user's API token; null for the admin, whose token is the file $AIRLOCK_HOME/token. */
  tokenHash: text('token_hash').unique(),
  createdAt: at('created_at').notNull().defaultNow(),
});

/** One-time login links, browser cookies and desktop tickets: only hashes of the secrets, each with its end. */
export const tokens = pgTable(
  'tokens',
  {
    hash: text().primaryKey(),
    kind: text().$type<'login' | 'cookie' | 'desktop'>().notNull(),
    userId: text('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    /** For kind `desktop`: the only VM that it opens. */
    vmId: text('vm_id'),
    expiresAt: at('expires_at').notNull(),
  },
  (t) => [
    index('tokens_expires_at').on(t.expiresAt),
    check('tokens_kind', sql`${t.kind} in ('login', 'cookie', 'desktop')`),
  ],
);

/** The login that is wanted in the VM. `attempt` grows with each; `started`: the agent was told. */
export interface StoredLogin extends SessionLogin {
  attempt: number;
  started: boolean;
}

export const authSessions = pgTable(
  'auth_sessions',
  {
    id: text().primaryKey(),
    userId: text('user_id')
      .notNull()
      .references(() => users.id),
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

export const vms = pgTable(
  'vms',
  {
    id: text().primaryKey(),
    userId: text('user_id')
      .notNull()
      .references(() => users.id),
    kind: text().$type<VmKind>().notNull(),
    state: text().$type<VmState>().notNull(),
    sessionId: text('session_id'),
    imageId: text('image_id').notNull(),
    accel: text().$type<'kvm' | 'tcg'>().notNull(),
    /** Grows with each start; a runner with an older one refuses to go on. */
    epoch: integer().notNull().default(0),
    /** JWE of the key of the CLI VM's encrypted home; null for a browser VM. */
    homeKeySealed: text('home_key_sealed'),
    timings: jsonb().$type<{ vncMs: number | null; agentMs: number | null; readyMs: number | null }>().notNull(),
    error: jsonb().$type<ErrorBody>(),
    createdAt: at('created_at').notNull().defaultNow(),
    readyAt: at('ready_at'),
    /** When something was last done in a CLI VM for its user; its start counts by itself. */
    lastUsedAt: at('last_used_at'),
    destroyAt: at('destroy_at'),
  },
  (t) => [
    uniqueIndex('vms_one_cli')
      .on(t.userId)
      .where(sql`${t.kind} = 'cli' and ${t.state} not in ('failed', 'destroyed')`),
    index('vms_destroy_at').on(t.destroyAt),
  ],
);

export const credentials = pgTable(
  'credentials',
  {
    userId: text('user_id')
      .notNull()
      .references(() => users.id),
    provider: text().$type<ProviderId>().notNull(),
    generation: integer().notNull(),
    /** staged: sealed, not yet proved. active: proved in the CLI VM; at most one a provider. */
    state: text().$type<'staged' | 'active'>().notNull(),
    /** The generation that its sign-in began with: what a CLI makes of it by refreshing keeps this number. */
    lineage: integer().notNull(),
    method: text().$type<'login' | 'api_key'>().notNull().default('login'),
    /** Session that captured it; null for an API key, and for one from a backup. */
    sessionId: text('session_id'),
    /** Compact JWE; its protected header carries the key id and the context (user, provider, generation). */
    sealed: text().notNull(),
    updatedAt: at('updated_at').notNull().defaultNow(),
  },
  (t) => [
    primaryKey({ columns: [t.userId, t.provider, t.generation] }),
    uniqueIndex('credentials_one_active')
      .on(t.userId, t.provider)
      .where(sql`${t.state} = 'active'`),
  ],
);

/** Who holds the live copy of a user's credential, and how it was last found. The row stays when the credential goes. */
export const custody = pgTable(
  'custody',
  {
    userId: text('user_id')
      .notNull()
      .references(() => users.id),
    provider: text().$type<ProviderId>().notNull(),
    /** The highest generation ever given; never goes back, also not when the credential is removed. */
    lastGeneration: integer('last_generation').notNull().default(0),
    /** The CLI VM whose disk has it. */
    holderVmId: text('holder_vm_id'),
    /** The number under which that VM received it: what its agent reports. */
    deliveredAs: integer('delivered_as'),
    /** The generation in the vault that is the same as what that VM had at the last look. */
    deliveredGeneration: integer('delivered_generation'),
    /** A delivery that has been begun; null once it is known to be finished. */
    delivering: integer(),
    /** What the agent said of the files at the last look; null: look again. */
    fingerprint: text(),
    /** False from the moment the VM may change it until a last look before an orderly stop. */
    confirmed: boolean().notNull().default(true),
    health: text().$type<CredentialHealth>().notNull().default('unknown'),
    healthReason: text('health_reason').notNull().default(''),
    checkedAt: at('checked_at'),
    expiresAt: at('expires_at'),
    /** Why the last attempt to store an API key failed. */
    error: jsonb().$type<ErrorBody>(),
  },
  (t) => [
    primaryKey({ columns: [t.userId, t.provider] }),
    index('custody_holder').on(t.holderVmId),
    check('custody_health', sql`${t.health} in ('valid', 'expiring', 'needs_login', 'revoked', 'unknown')`),
  ],
);

/** The tables of what is sealed, and of who holds it. Only this folder reads and writes them. */
import { sql } from 'drizzle-orm';
import { boolean, check, index, integer, jsonb, primaryKey, text, uniqueIndex } from 'drizzle-orm/pg-core';
import type { CredentialHealth } from '@airlock/contract/api';
import type { ErrorBody } from '@airlock/contract/errors';
import type { ProviderId } from '@airlock/contract/provider/provider';
import { airlock, at } from '../store/schema.js';

export const credentials = airlock.table(
  'credentials',
  {
    userId: text('user_id').notNull(),
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

/** The key of a CLI VM's encrypted home; goes with the VM. */
export const homeKeys = airlock.table('home_keys', {
  vmId: text('vm_id').primaryKey(),
  /** Compact JWE for the context `home/<vmId>`. */
  sealed: text().notNull(),
});

/** Who holds the live copy of a user's credential, and how it was last found. The row stays when the credential goes. */
export const custody = airlock.table(
  'custody',
  {
    userId: text('user_id').notNull(),
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
    /** Why the newest look into that VM failed; empty: it did not. */
    lookError: text('look_error').notNull().default(''),
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

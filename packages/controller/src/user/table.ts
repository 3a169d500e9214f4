/** The tables of people and of their one-time secrets. Only this folder reads and writes them. */
import { sql } from 'drizzle-orm';
import { check, index, integer, text } from 'drizzle-orm/pg-core';
import { airlock, at } from '../store/schema.js';

export const users = airlock.table('users', {
  id: text().primaryKey(),
  name: text().notNull().unique(),
  role: text().$type<'admin' | 'user'>().notNull(),
  /** The user's own port at the upstream proxy. */
  proxyPort: integer('proxy_port').notNull().unique(),
  /** SHA-256 (hex) of the user's API token; null for the admin, whose token is the file $AIRLOCK_HOME/token. */
  tokenHash: text('token_hash').unique(),
  createdAt: at('created_at').notNull().defaultNow(),
  /** Since when the user is kept out; null while they are not. */
  disabledAt: at('disabled_at'),
  /** Since when all that is theirs is being removed; this row goes last. */
  removedAt: at('removed_at'),
});

/** One-time login links, browser cookies and desktop tickets: only hashes of the secrets, each with its end. */
export const tokens = airlock.table(
  'tokens',
  {
    hash: text().primaryKey(),
    kind: text().$type<'login' | 'cookie' | 'desktop'>().notNull(),
    userId: text('user_id').notNull(),
    /** For kind `desktop`: the only VM that it opens. */
    vmId: text('vm_id'),
    expiresAt: at('expires_at').notNull(),
    /** For kind `cookie`: `sgn_…`, by which its user names the sign-in; it opens nothing. */
    id: text().unique(),
    /** For kind `cookie`: SHA-256 (hex) of the second secret, which only pages of this origin hold. */
    pageHash: text('page_hash'),
    /** For kind `desktop`: the sign-in that asked for it, with which it ends; null for an API token. */
    signIn: text('sign_in'),
    /** For kinds `login` and `desktop`: SHA-256 (hex) of the API token that it was made with, with which it ends; null for none. */
    madeWith: text('made_with'),
    createdAt: at('created_at').notNull().defaultNow(),
    lastUsedAt: at('last_used_at'),
  },
  (t) => [
    index('tokens_expires_at').on(t.expiresAt),
    check('tokens_kind', sql`${t.kind} in ('login', 'cookie', 'desktop')`),
  ],
);

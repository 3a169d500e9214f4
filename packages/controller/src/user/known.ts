/**
 * Which secrets may be good, by their hashes, and whose: in memory, so that a wrong one costs no query, and a request can be
 * counted for its user before anything is looked up. It says no; yes is said by the database alone. A cookie without its page
 * secret is a wrong one.
 */
import { gt, isNotNull } from 'drizzle-orm';
import type { Database } from '../store/store.js';
import { tokens, users } from './table.js';

interface KnownSecret {
  userId: string;
  expiresAt: Date | null;
  pageHash: string | null;
}

export interface Known {
  find(hash: string): KnownSecret | undefined;
  /**
   * Once the row is written, and before it can be removed or anybody is told the secret. `expiresAt`: null for one that stays until it is forgotten.
   * `pageHash`: of the page secret that a cookie has to come with.
   */
  add(hash: string, userId: string, expiresAt: Date | null, pageHash?: string | null): void;
  forget(hash: string): void;
  /** Forgets all that have expired. */
  sweep(): void;
}

/** Of every secret that has a row now. */
export async function loadKnown(db: Database, now: () => Date): Promise<Known> {
  const all = new Map<string, KnownSecret>();
  const isOver = (expiresAt: Date | null): boolean => expiresAt !== null && expiresAt <= now();
  for (const { hash, ...row } of await db
    .select({ hash: tokens.hash, userId: tokens.userId, expiresAt: tokens.expiresAt, pageHash: tokens.pageHash })
    .from(tokens)
    .where(gt(tokens.expiresAt, now()))) {
    all.set(hash, row);
  }
  for (const { id, tokenHash } of await db.select().from(users).where(isNotNull(users.tokenHash))) {
    if (tokenHash !== null) all.set(tokenHash, { userId: id, expiresAt: null, pageHash: null });
  }
  return {
    find(hash) {
      const found = all.get(hash);
      return found === undefined || isOver(found.expiresAt) ? undefined : found;
    },
    add: (hash, userId, expiresAt, pageHash = null) => void all.set(hash, { userId, expiresAt, pageHash }),
    forget: (hash) => void all.delete(hash),
    sweep: () => all.forEach(({ expiresAt }, hash) => isOver(expiresAt) && all.delete(hash)),
  };
}

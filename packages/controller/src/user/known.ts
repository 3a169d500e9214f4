/**
 * Which secrets may be good, by their hashes, and whose: in memory, so that a wrong one costs no query, and a request can be
 * counted for its user before anything is looked up. It says no; yes is said by the database alone. Desktop tickets are not
 * among them: whoever brings one has signed in.
 */
import { and, gt, isNotNull, ne } from 'drizzle-orm';
import type { Database } from '../store/store.js';
import { tokens, users } from './table.js';

export interface Known {
  /** Id of the user whose secret this may be. */
  ownerOf(hash: string): string | undefined;
  /** Once the row is written, and before anybody is told the secret. `expiresAt`: null for one that stays until it is forgotten. */
  add(hash: string, userId: string, expiresAt: Date | null): void;
  forget(hash: string): void;
  /** Forgets all that have expired. */
  sweep(): void;
}

/** Of every login token, cookie and API token that has a row now. */
export async function loadKnown(db: Database, now: () => Date): Promise<Known> {
  const all = new Map<string, { userId: string; expiresAt: Date | null }>();
  const isOver = (expiresAt: Date | null): boolean => expiresAt !== null && expiresAt <= now();
  for (const { hash, ...row } of await db
    .select({ hash: tokens.hash, userId: tokens.userId, expiresAt: tokens.expiresAt })
    .from(tokens)
    .where(and(gt(tokens.expiresAt, now()), ne(tokens.kind, 'desktop')))) {
    all.set(hash, row);
  }
  for (const { id, tokenHash } of await db.select().from(users).where(isNotNull(users.tokenHash))) {
    if (tokenHash !== null) all.set(tokenHash, { userId: id, expiresAt: null });
  }
  return {
    ownerOf(hash) {
      const found = all.get(hash);
      return found === undefined || isOver(found.expiresAt) ? undefined : found.userId;
    },
    add: (hash, userId, expiresAt) => void all.set(hash, { userId, expiresAt }),
    forget: (hash) => void all.delete(hash),
    sweep: () => all.forEach(({ expiresAt }, hash) => isOver(expiresAt) && all.delete(hash)),
  };
}

/** One-time secrets in the table `tokens`: issued, redeemed once, swept. A used, expired or unknown one looks the same. */
import { and, eq, lt } from 'drizzle-orm';
import { hashSecret, newSecret } from '../lib/secret.js';
import { tokens } from './table.js';
import type { Database } from '../store/store.js';
import type { Known } from './known.js';

type TokenRow = typeof tokens.$inferSelect;

/** Milliseconds for which each kind is good. */
export const lifetimesMs = {
  login: 10 * 60_000,
  cookie: 12 * 60 * 60_000,
  desktop: 30_000,
} as const satisfies Record<TokenRow['kind'], number>;

export interface OnceContext {
  db: Database;
  known: Known;
  now: () => Date;
}

/** `holder`: whose it is, and what its kind needs besides. */
export async function issue(
  { db, known, now }: Pick<OnceContext, 'known' | 'now'> & { db: Pick<Database, 'insert'> },
  kind: TokenRow['kind'],
  holder: Pick<TokenRow, 'userId'> & Partial<Pick<TokenRow, 'id' | 'vmId' | 'pageHash' | 'signIn' | 'madeWith'>>,
): Promise<{ secret: string; expiresAt: Date }> {
  const secret = newSecret();
  const hash = hashSecret(secret);
  const createdAt = now();
  const expiresAt = new Date(createdAt.getTime() + lifetimesMs[kind]);
  await db.insert(tokens).values({ hash, kind, ...holder, createdAt, expiresAt });
  known.add(hash, holder.userId, expiresAt, holder.pageHash);
  return { secret, expiresAt };
}

/** Takes the secret out of use and tells what it was good for; undefined when it is unknown or expired. */
export async function redeem(
  { db, known, now }: OnceContext,
  kind: TokenRow['kind'],
  secret: string,
): Promise<TokenRow | undefined> {
  const hash = hashSecret(secret);
  if (known.find(hash) === undefined) return undefined;
  const [row] = await db
    .delete(tokens)
    .where(and(eq(tokens.hash, hash), eq(tokens.kind, kind)))
    .returning();
  if (row) known.forget(hash);
  return row && row.expiresAt > now() ? row : undefined;
}

export async function removeExpired({ db, known, now }: OnceContext): Promise<void> {
  known.sweep();
  await db.delete(tokens).where(lt(tokens.expiresAt, now()));
}

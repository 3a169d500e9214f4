/** One-time secrets in the table `tokens`: issued, redeemed once, swept. A used, expired or unknown one looks the same. */
import { and, eq, lt } from 'drizzle-orm';
import { hashSecret, newSecret } from '../lib/secret.js';
import { tokens } from './table.js';
import type { Database } from '../store/store.js';

type TokenRow = typeof tokens.$inferSelect;

/** Milliseconds for which each kind is good. */
export const lifetimesMs = {
  login: 10 * 60_000,
  cookie: 12 * 60 * 60_000,
  desktop: 30_000,
} as const satisfies Record<TokenRow['kind'], number>;

export async function issue(
  db: Pick<Database, 'insert'>,
  kind: TokenRow['kind'],
  holder: Pick<TokenRow, 'userId' | 'vmId'>,
  now: Date,
): Promise<{ secret: string; expiresAt: Date }> {
  const secret = newSecret();
  const expiresAt = new Date(now.getTime() + lifetimesMs[kind]);
  await db.insert(tokens).values({ hash: hashSecret(secret), kind, ...holder, expiresAt });
  return { secret, expiresAt };
}

/** Takes the secret out of use and tells what it was good for; undefined when it is unknown or expired. */
export async function redeem(
  db: Pick<Database, 'delete'>,
  kind: TokenRow['kind'],
  secret: string,
  now: Date,
): Promise<TokenRow | undefined> {
  const [row] = await db
    .delete(tokens)
    .where(and(eq(tokens.hash, hashSecret(secret)), eq(tokens.kind, kind)))
    .returning();
  return row && row.expiresAt > now ? row : undefined;
}

export async function removeExpired(db: Pick<Database, 'delete'>, now: Date): Promise<void> {
  await db.delete(tokens).where(lt(tokens.expiresAt, now));
}

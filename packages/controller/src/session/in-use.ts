/** Who is signing in: for those below that must not take away what a sign-in needs. */
import { gt, inArray, notInArray, or } from 'drizzle-orm';
import { finalStatuses } from '@airlock/contract/session';
import { authSessions } from './table.js';
import type { Database } from '../store/store.js';

/** Users with a sign-in that is under way, or has ended after `since`. */
export async function usersSigningIn(db: Database, since: Date): Promise<ReadonlySet<string>> {
  const rows = await db
    .selectDistinct({ userId: authSessions.userId })
    .from(authSessions)
    .where(or(notInArray(authSessions.status, [...finalStatuses]), gt(authSessions.updatedAt, since)));
  return new Set(rows.map(({ userId }) => userId));
}

/** Whether somebody waits for a desktop, or for the page of a provider in it. */
export async function isOpening(db: Database): Promise<boolean> {
  const where = inArray(authSessions.status, ['pending', 'vm_created', 'ready']);
  return (await db.select({ id: authSessions.id }).from(authSessions).where(where).limit(1)).length > 0;
}

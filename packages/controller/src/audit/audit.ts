/**
 * The face of the audit folder: what was done, by whom and to whom. It is only added to. What somebody does to a row is noted in the
 * transaction that does it (`tx`, `Noted`); what reaches beyond the database, before it is done. Nothing is noted of what is not there.
 */
import { and, desc, eq, inArray, lt, or } from 'drizzle-orm';
import { concernsEverybody, type AuditRecord } from '@airlock/contract/audit';
import type { Store, Transaction } from '../store/store.js';
import { audit } from './table.js';

/** Who does something; `system` is Airlock by itself. */
export type Actor = Pick<AuditRecord, 'actorId' | 'actorName' | 'via'>;

export const system: Actor = { actorId: null, actorName: 'airlock', via: 'system' };

export interface AuditEntry {
  actor: Actor;
  action: AuditRecord['action'];
  /** Whom it concerns. */
  userId: string | null;
  subject?: string;
  details?: AuditRecord['details'];
}

/** Notes an act on `what`, which is there; called in the transaction that does it, or before what no transaction holds. */
export type Noted<T> = (what: T, tx?: Transaction) => Promise<void>;

export interface Audit {
  /** Resolves once it is written: what must not be done unseen waits for it. `tx`: with whatever else that writes, or not at all. */
  note(entry: AuditEntry, tx?: Transaction): Promise<void>;
  /** The newest first, at most `limit`, older than `before`; what concerns one user, or all with null. */
  list(which: { userId: string | null; before?: number; limit: number }): Promise<AuditRecord[]>;
}

export function createAudit({ db }: Pick<Store, 'db'>): Audit {
  return {
    async note({ actor, action, userId, subject = null, details = {} }, tx) {
      await (tx ?? db).insert(audit).values({ ...actor, action, userId, subject, details });
    },
    async list({ userId, before, limit }) {
      const where = and(
        userId === null ? undefined : or(eq(audit.userId, userId), inArray(audit.action, [...concernsEverybody])),
        before === undefined ? undefined : lt(audit.id, before),
      );
      const rows = await db.select().from(audit).where(where).orderBy(desc(audit.id)).limit(limit);
      return rows.map((row) => ({ ...row, at: row.at.toISOString() }));
    },
  };
}

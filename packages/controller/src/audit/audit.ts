/** The face of the audit folder: what was done, by whom and to whom. It is only added to. */
import { and, desc, eq, lt } from 'drizzle-orm';
import type { AuditRecord } from '@airlock/contract/audit';
import type { Store } from '../store/store.js';
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

export interface Audit {
  /** Resolves once it is written: what must not be done unseen waits for it. */
  note(entry: AuditEntry): Promise<void>;
  /** The newest first, at most `limit`, older than `before`; of one user, or of all. */
  list(which: { userId: string | null; before?: number; limit: number }): Promise<AuditRecord[]>;
}

export function createAudit({ db }: Pick<Store, 'db'>): Audit {
  return {
    async note({ actor, action, userId, subject = null, details = {} }) {
      await db.insert(audit).values({ ...actor, action, userId, subject, details });
    },
    async list({ userId, before, limit }) {
      const where = and(
        userId === null ? undefined : eq(audit.userId, userId),
        before === undefined ? undefined : lt(audit.id, before),
      );
      const rows = await db.select().from(audit).where(where).orderBy(desc(audit.id)).limit(limit);
      return rows.map((row) => ({ ...row, at: row.at.toISOString() }));
    },
  };
}

/** The table of what was done. Only this folder reads and writes it, and nobody changes what stands in it. */
import { bigint, index, jsonb, text } from 'drizzle-orm/pg-core';
import type { AuditAction, AuditRecord, AuditVia } from '@airlock/contract/audit';
import { airlock, at } from '../store/schema.js';

export const audit = airlock.table(
  'audit',
  {
    id: bigint({ mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    at: at('at').notNull().defaultNow(),
    actorId: text('actor_id'),
    actorName: text('actor_name').notNull(),
    via: text().$type<AuditVia>().notNull(),
    action: text().$type<AuditAction>().notNull(),
    userId: text('user_id'),
    subject: text(),
    details: jsonb().$type<AuditRecord['details']>().notNull().default({}),
  },
  (t) => [index('audit_user').on(t.userId, t.id)],
);

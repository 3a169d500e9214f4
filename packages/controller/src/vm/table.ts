/** The table of VMs. Only this folder reads and writes it. */
import { sql } from 'drizzle-orm';
import { index, integer, jsonb, text, uniqueIndex } from 'drizzle-orm/pg-core';
import type { VmKind, VmState } from '@airlock/contract/api';
import type { ErrorBody } from '@airlock/contract/errors';
import { airlock, at } from '../store/schema.js';

export const vms = airlock.table(
  'vms',
  {
    id: text().primaryKey(),
    userId: text('user_id').notNull(),
    kind: text().$type<VmKind>().notNull(),
    state: text().$type<VmState>().notNull(),
    sessionId: text('session_id'),
    imageId: text('image_id').notNull(),
    accel: text().$type<'kvm' | 'tcg'>().notNull(),
    /** Grows with each start; a runner with an older one refuses to go on. */
    epoch: integer().notNull().default(0),
    timings: jsonb().$type<{ vncMs: number | null; agentMs: number | null; readyMs: number | null }>().notNull(),
    error: jsonb().$type<ErrorBody>(),
    createdAt: at('created_at').notNull().defaultNow(),
    readyAt: at('ready_at'),
    /** When something was last done in a CLI VM for its user; its start counts by itself. */
    lastUsedAt: at('last_used_at'),
    destroyAt: at('destroy_at'),
  },
  (t) => [
    uniqueIndex('vms_one_cli')
      .on(t.userId)
      .where(sql`${t.kind} = 'cli' and ${t.state} not in ('failed', 'destroyed')`),
    index('vms_destroy_at').on(t.destroyAt),
  ],
);

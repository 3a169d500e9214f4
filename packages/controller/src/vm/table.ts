/** The table of VMs. Only this folder reads and writes it. */
import { sql } from 'drizzle-orm';
import { bigint, index, integer, jsonb, text, uniqueIndex } from 'drizzle-orm/pg-core';
import type { VmKind, VmState, VmUpdateKind, VmUpdateState } from '@airlock/contract/api';
import type { CountMs } from '@airlock/contract/count-ms';
import type { ErrorBody } from '@airlock/contract/errors';
import type { VmRoot } from '@airlock/contract/runner';
import type { VmNetwork } from '@airlock/contract/started-with';
import { airlock, at } from '../store/schema.js';

/** The replacement of a CLI VM's root, from when it is asked for until the new one is proved; one that failed stays to be told of. */
export interface RootUpdate {
  kind: VmUpdateKind;
  state: VmUpdateState;
  /** Does not wait until nobody uses the VM. */
  now: boolean;
  /** The VM is left running at the end. */
  run: boolean;
  /** The root in use before; null until there is a new one. */
  from: VmRoot | null;
  /** The new root; null until it is known. */
  to: VmRoot | null;
  /** Starts from the new root that broke off by no fault of its own. */
  broken: number;
  /** When it came into this state: Unix epoch milliseconds. */
  since: number;
  error: ErrorBody | null;
}

export const vms = airlock.table(
  'vms',
  {
    id: text().primaryKey(),
    /** null: nobody has it yet. */
    userId: text('user_id'),
    kind: text().$type<VmKind>().notNull(),
    state: text().$type<VmState>().notNull(),
    sessionId: text('session_id'),
    imageId: text('image_id').notNull(),
    /** Of the root in use, which comes from that image; 0: the disk of the home is the root, too, or it is a browser VM. */
    rootNumber: integer('root_number').notNull().default(0),
    rootUpdate: jsonb('root_update').$type<RootUpdate>(),
    accel: text().$type<'kvm' | 'tcg'>().notNull(),
    /** By accelerator, when the VM was started last: see the contract. */
    countMs: jsonb('count_ms').$type<CountMs>(),
    /** What the VM was started with last. */
    network: text().$type<VmNetwork>(),
    driver: text(),
    driverReason: text('driver_reason'),
    /** User and group of its VMM, while it is neither stopped nor at its end; null: its host gives none. */
    vmUser: bigint('vm_user', { mode: 'number' }),
    /** Hash of what cannot be changed in a VM that runs; null: it is given to nobody any more. */
    bornWith: text('born_with'),
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
    uniqueIndex('vms_one_user')
      .on(t.vmUser)
      .where(sql`${t.state} not in ('stopped', 'failed', 'destroyed')`),
    index('vms_destroy_at').on(t.destroyAt),
  ],
);

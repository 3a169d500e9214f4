/**
 * What every table is made with. Tables themselves stand in `<noun>/table.ts`, because a table has one owner; `migrations/`
 * holds the SQL that makes them, with their foreign keys, and main-tables.test.ts compares the two.
 */
import { pgSchema, timestamp } from 'drizzle-orm/pg-core';

/** The name stands for the schema of AIRLOCK_DB_SCHEMA, which the store writes in its place (store/database.ts). */
export const airlock = pgSchema('airlock');

/** A time, to the millisecond. */
export const at = (name: string) => timestamp(name, { withTimezone: true, mode: 'date', precision: 3 });

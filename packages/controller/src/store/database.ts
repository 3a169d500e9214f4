/**
 * The database handle, with the tables in the schema that the settings name. Every statement names that schema itself, because
 * the search path belongs to others: to the other programs in the database, and to whoever pools the connections.
 */
import { NodePgDatabase, NodePgDriver } from 'drizzle-orm/node-postgres';
import { PgDialect } from 'drizzle-orm/pg-core';
import type { Pool } from 'pg';
import { airlock } from './schema.js';
import type { Database } from './store.js';

export function createDatabase(pool: Pool, schema: string): Database {
  const dialect = dialectFor(schema);
  const session = new NodePgDriver(pool, dialect).createSession(undefined);
  return Object.assign(new NodePgDatabase<Record<string, never>>(dialect, session as never, undefined), {
    $client: pool,
  });
}

/** Writes `schema` wherever the tables say `airlock`; no table, column or alias has that name. */
function dialectFor(schema: string): PgDialect {
  const dialect = new PgDialect();
  const plain = dialect.escapeName.bind(dialect);
  return Object.assign(dialect, {
    escapeName: (name: string): string => plain(name === airlock.schemaName ? schema : name),
  });
}

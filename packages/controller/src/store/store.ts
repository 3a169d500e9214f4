/** The database handle that every other folder is given. */
import type { NodePgDatabase } from 'drizzle-orm/node-postgres';
import type * as schema from './schema.js';

export type Database = NodePgDatabase<typeof schema>;

export interface Store {
  db: Database;
  kind: 'pglite' | 'postgresql';
  /** Ends connections and the embedded database's process. Idempotent. */
  close(): Promise<void>;
}

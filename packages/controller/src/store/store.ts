/** The database handle that every other folder is given. */
import type { NodePgDatabase } from 'drizzle-orm/node-postgres';
import type { Pool } from 'pg';

/** Without tables of its own: each noun brings its own, from its table.ts. */
export type Database = NodePgDatabase<Record<string, never>> & { $client: Pool };
export type Transaction = Parameters<Parameters<Database['transaction']>[0]>[0];

export interface Store {
  db: Database;
  kind: 'pglite' | 'postgresql';
  /** Ends connections and the embedded database's process. Idempotent. */
  close(): Promise<void>;
}

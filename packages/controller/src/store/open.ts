/**
 * Opens the database, embedded or PostgreSQL, and brings its tables up to date.
 *
 * The embedded one is used through exactly one connection: pglite-socket mixes the messages of several, so that one gets the
 * answer (or the error) of another. PGlite executes one statement at a time anyway; a transaction must therefore use its own
 * `tx` for every statement in it, never the `db` around it.
 */
import { fileURLToPath } from 'node:url';
import { DatabaseError, Pool, type PoolConfig } from 'pg';
import { AppError } from '@airlock/contract/errors';
import { homePaths } from '@airlock/contract/home';
import type { Settings } from '@airlock/contract/settings';
import type { Log } from '../lib/log.js';
import { createDatabase } from './database.js';
import { startEmbedded } from './embedded-process.js';
import { migrate } from './migrate.js';
import type { Store } from './store.js';

export type StoreSettings = Pick<Settings, 'AIRLOCK_HOME' | 'AIRLOCK_DB_SCHEMA' | 'DATABASE_URL'>;

const migrationsFolder = fileURLToPath(new URL('../../migrations', import.meta.url));

/**
 * The embedded database in `$AIRLOCK_HOME/db` (the caller holds the lock of AIRLOCK_HOME), or the one of DATABASE_URL.
 * `onLost`: the embedded database has ended by itself, and nothing can be stored any more.
 * @throws AppError store_failed
 */
export async function openStore(
  settings: StoreSettings,
  log: Log,
  onLost: (error: AppError) => void = () => undefined,
): Promise<Store> {
  const { AIRLOCK_DB_SCHEMA: schema, DATABASE_URL: url } = settings;
  const opened =
    url === undefined
      ? await openEmbedded(homePaths(settings.AIRLOCK_HOME).database, log, onLost)
      : openPostgres(url, schema, log);
  const { pool, kind } = opened;
  return migrated({ db: createDatabase(pool, schema), kind, close: once(opened.close) }, schema);
}

interface Opened {
  kind: Store['kind'];
  pool: Pool;
  close(): Promise<void>;
}

async function openEmbedded(folder: string, log: Log, onLost: (error: AppError) => void): Promise<Opened> {
  const embedded = await startEmbedded(folder, log, onLost);
  const pool = createPool(
    {
      host: embedded.socketFolder,
      user: 'postgres',
      database: 'postgres',
      max: 1,
      // A statement outside of the transaction that holds the only connection would wait for ever.
      connectionTimeoutMillis: 30_000,
    },
    log,
  );
  const close = async (): Promise<void> => {
    await pool.end();
    await embedded.close();
  };
  return { kind: 'pglite', pool, close };
}

function openPostgres(url: string, schema: string, log: Log): Opened {
  const pool = createPool(
    {
      connectionString: url,
      // Which installation it is; never the bare name, which is that of a version before schemas (take-over.ts).
      application_name: `airlock:${schema}`,
      max: 10,
      connectionTimeoutMillis: 10_000,
    },
    log,
  );
  return { kind: 'postgresql', pool, close: () => pool.end() };
}

function createPool(config: PoolConfig, log: Log): Pool {
  const pool = new Pool(config);
  // An idle connection broke; the pool replaces it at the next query.
  pool.on('error', (error) => log.warn({ err: error }, 'a database connection was lost'));
  return pool;
}

async function migrated(store: Store, schema: string): Promise<Store> {
  try {
    await migrate(store.db, schema, migrationsFolder);
    return store;
  } catch (error) {
    await store.close();
    if (error instanceof AppError) throw error;
    throw new AppError('store_failed', `The tables could not be brought up to date: ${reasonOf(error)}.`, {
      hint:
        store.kind === 'pglite'
          ? 'See the log above.'
          : 'Check that DATABASE_URL names a database that is reachable and whose user may create a schema, or owns the one of AIRLOCK_DB_SCHEMA, and owns the tables of the earlier version.',
      cause: error,
    });
  }
}

/** The database's own words; drizzle's error around them repeats the whole statement. */
function reasonOf(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (inner instanceof AggregateError) return inner.errors.map((e) => reasonOf(e)).join('; ');
  return inner instanceof Error ? inner.message : String(inner);
}

function once(close: () => Promise<void>): () => Promise<void> {
  let closing: Promise<void> | undefined;
  return () => (closing ??= close());
}

/** The name of the unique index or constraint that refused a statement, or undefined when something else went wrong. */
export function violatedUnique(error: unknown): string | undefined {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return inner instanceof DatabaseError && inner.code === '23505' ? inner.constraint : undefined;
}

/**
 * Before Airlock had a schema of its own, its tables lay wherever the search path of its user led, and drizzle kept the journal
 * of them in `drizzle.__drizzle_migrations`. What that journal says Airlock made is moved; everything else in the database
 * belongs to others and is left alone, also tables of the same names and a journal of another program in the same place.
 * Where it cannot be known whether there is something to move, or the earlier version still runs, nothing is made or moved.
 */
import { sql } from 'drizzle-orm';
import { AppError } from '@airlock/contract/errors';
import type { Migration } from './migrate.js';
import { airlock } from './schema.js';
import type { Transaction } from './store.js';

const journal = sql`drizzle.__drizzle_migrations`;
/** What that version called its connections; those of later ones also name their schema (open.ts). */
const formerApplication = 'airlock';

/**
 * Moves the tables of an earlier version into this schema; answers the migrations that made them.
 * @throws AppError store_failed when it would take tables that are in use, or cannot tell whether there are any
 */
export async function takeOver(tx: Transaction, migrations: readonly Migration[]): Promise<string[]> {
  const found = await findJournal(tx);
  if (!found) return [];
  if (!found.readable) {
    await refuseUnread(tx, found.role, migrations.slice(0, 1).flatMap(tablesOf));
    return [];
  }
  const hashes = migrations.map(({ hash }) => hash);
  const { rows } = await tx.execute<{ hash: string }>(sql`select hash from ${journal} where hash in ${hashes}`);
  const made = migrations.filter(({ hash }) => rows.some((row) => row.hash === hash));
  if (made.length === 0) return [];
  const tables = made.flatMap(tablesOf);
  const from = await findSchema(tx, tables);
  await refuseInUse(tx, from);
  for (const table of tables) {
    await tx.execute(sql`alter table ${sql.identifier(from)}.${sql.identifier(table)} set schema ${airlock}`);
  }
  await tx.execute(sql`delete from ${journal} where hash in ${hashes}`);
  await dropEmptyJournal(tx);
  return made.map(({ tag }) => tag);
}

const tablesOf = ({ text }: Migration): string[] =>
  [...text.matchAll(/^CREATE TABLE (\w+)/gm)].flatMap(([, name]) => name ?? []);

/** The journal of somebody else may be there, with rights for nobody but them. */
async function findJournal(tx: Transaction): Promise<{ readable: boolean; role: string } | undefined> {
  const { rows } = await tx.execute<{ readable: boolean; role: string }>(sql`
    select has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') as readable, current_user as role
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'drizzle' and c.relname = '__drizzle_migrations'`);
  return rows[0];
}

/**
 * New tables beside those of an earlier version would look like a loss of everything, and once they are made nothing is taken
 * over any more. The catalogue can be read by everybody; VMs that hold the keys of homes are of no later version.
 */
async function refuseUnread(tx: Transaction, role: string, tables: readonly string[]): Promise<void> {
  const [schema] = await schemasWith(tx, tables, 'home_key_sealed');
  if (schema === undefined) return;
  throw new AppError(
    'store_failed',
    `Schema ${schema} has tables of an earlier Airlock, but the role ${role} may not read drizzle.__drizzle_migrations, which says whether they are of this installation.`,
    {
      hint:
        'Start once with the role that the earlier version had in DATABASE_URL, and give the tables to another role after that. ' +
        'If they belong to another installation, give this one a database of its own.',
    },
  );
}

/** It would lose its tables under way, and whoever tries a new version beside it means something else. */
async function refuseInUse(tx: Transaction, schema: string): Promise<void> {
  const { rows } = await tx.execute<{ pid: number }>(sql`
    select pid from pg_stat_activity
    where datname = current_database() and application_name = ${formerApplication} and pid <> pg_backend_pid() order by pid`);
  if (rows.length === 0) return;
  throw new AppError(
    'store_failed',
    `The tables in schema ${schema} would move, but an earlier Airlock is connected to this database (server processes ${rows.map(({ pid }) => pid).join(', ')}).`,
    {
      hint:
        'Stop it before the upgrade, or give the new installation a database of its own. ' +
        'A connection that outlived it, for example in a pooler, ends with `select pg_terminate_backend(<process>)`.',
    },
  );
}

/** Schemas that have all of `tables`, and among them one with `column`; those of the search path first. */
async function schemasWith(tx: Transaction, tables: readonly string[], column: string): Promise<string[]> {
  const { rows } = await tx.execute<{ name: string }>(sql`
    select n.nspname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and c.relname in ${tables}
    group by n.nspname
    having count(*) = ${tables.length} and bool_or(exists (
      select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = ${column}))
    order by array_position(current_schemas(false), n.nspname) nulls last`);
  return rows.map(({ name }) => name);
}

/** The schema that has all of `tables`, with a user's port among them. */
async function findSchema(tx: Transaction, tables: readonly string[]): Promise<string> {
  const [found] = await schemasWith(tx, tables, 'proxy_port');
  if (found !== undefined) return found;
  throw new AppError(
    'store_failed',
    `The database says that Airlock made ${tables.join(', ')}, but no schema has them.`,
    {
      hint: 'Restore the database from a copy of it, or remove the rows of Airlock from drizzle.__drizzle_migrations.',
    },
  );
}

async function dropEmptyJournal(tx: Transaction): Promise<void> {
  const { rows } = await tx.execute(sql`select 1 from ${journal} limit 1`);
  if (rows.length > 0) return;
  await tx.execute(sql`drop table ${journal}`);
  const left = await tx.execute(sql`
    select 1 from pg_namespace n where n.nspname = 'drizzle' and (n.nspowner <> (select oid from pg_roles where rolname = current_user)
      or exists (select 1 from pg_class where relnamespace = n.oid) or exists (select 1 from pg_proc where pronamespace = n.oid)
      or exists (select 1 from pg_type where typnamespace = n.oid))`);
  if (left.rows.length === 0) await tx.execute(sql`drop schema drizzle`);
}

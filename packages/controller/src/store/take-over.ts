/**
 * Before Airlock had a schema of its own, its tables lay wherever the search path of its user led, and drizzle kept the journal
 * of them in `drizzle.__drizzle_migrations`. What that journal says Airlock made is moved; everything else in the database
 * belongs to others and is left alone, also tables of the same names and a journal of another program in the same place.
 */
import { sql } from 'drizzle-orm';
import { AppError } from '@airlock/contract/errors';
import type { Migration } from './migrate.js';
import { airlock } from './schema.js';
import type { Transaction } from './store.js';

const journal = sql`drizzle.__drizzle_migrations`;

/** Moves the tables of an earlier version into this schema; answers the migrations that made them. */
export async function takeOver(tx: Transaction, migrations: readonly Migration[]): Promise<string[]> {
  if (!(await mayReadJournal(tx))) return [];
  const hashes = migrations.map(({ hash }) => hash);
  const { rows } = await tx.execute<{ hash: string }>(sql`select hash from ${journal} where hash in ${hashes}`);
  const made = migrations.filter(({ hash }) => rows.some((row) => row.hash === hash));
  if (made.length === 0) return [];
  const tables = made.flatMap(tablesOf);
  const from = await findSchema(tx, tables);
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
async function mayReadJournal(tx: Transaction): Promise<boolean> {
  const { rows } = await tx.execute<{ readable: boolean }>(sql`
    select has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') as readable
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'drizzle' and c.relname = '__drizzle_migrations'`);
  return rows[0]?.readable === true;
}

/** The schema that has all of `tables`, with a user's port among them; the first of the search path when there are several. */
async function findSchema(tx: Transaction, tables: readonly string[]): Promise<string> {
  const { rows } = await tx.execute<{ name: string }>(sql`
    select n.nspname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and c.relname in ${tables}
    group by n.nspname
    having count(*) = ${tables.length} and bool_or(exists (
      select 1 from pg_attribute a where a.attrelid = c.oid and c.relname = 'users' and a.attname = 'proxy_port'))
    order by array_position(current_schemas(false), n.nspname) nulls last`);
  const [found] = rows;
  if (found) return found.name;
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

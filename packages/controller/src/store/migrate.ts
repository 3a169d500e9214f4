/**
 * Brings the tables up to date: one transaction, in the order of the files' names, and each file once. The table `migrations`
 * beside the others is the journal of it. A file leaves the schema of its names open; the search path says it while it runs.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { sql } from 'drizzle-orm';
import { AppError } from '@airlock/contract/errors';
import { airlock } from './schema.js';
import type { Database, Transaction } from './store.js';
import { takeOver } from './take-over.js';

export interface Migration {
  /** The file's name without its ending. */
  tag: string;
  text: string;
  /** SHA-256 of the text, in hex. */
  hash: string;
}

/** Any number that no other program takes: two controllers on one database take turns. */
const lockId = 4_000_010_001;

/** @throws AppError store_failed when the database belongs to a newer version; otherwise the database's own errors */
export async function migrate(db: Database, schema: string, folder: string): Promise<void> {
  const migrations = await readMigrations(folder);
  await db.transaction(async (tx) => {
    await tx.execute(sql`select pg_advisory_xact_lock(${lockId})`);
    await createSchema(tx, schema);
    if (!(await hasJournal(tx, schema))) {
      await tx.execute(
        sql`create table ${airlock}.migrations (tag text primary key, applied_at timestamptz not null default now())`,
      );
      for (const tag of await takeOver(tx, migrations)) await note(tx, tag);
    }
    const applied = await appliedTags(tx);
    refuseNewer(applied, migrations);
    await tx.execute(sql`set local search_path to ${airlock}`);
    for (const { tag, text } of migrations.filter((one) => !applied.includes(one.tag))) {
      for (const statement of text.split('--> statement-breakpoint')) await tx.execute(sql.raw(statement));
      await note(tx, tag);
    }
  });
}

export async function readMigrations(folder: string): Promise<Migration[]> {
  const files = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(
    files.map(async (name) => {
      const text = await readFile(join(folder, name), 'utf8');
      return { tag: basename(name, '.sql'), text, hash: createHash('sha256').update(text).digest('hex') };
    }),
  );
}

/** A user who may not create schemas can be given one: it is not made again. */
async function createSchema(tx: Transaction, schema: string): Promise<void> {
  const { rows } = await tx.execute(sql`select 1 from pg_namespace where nspname = ${schema}`);
  if (rows.length === 0) await tx.execute(sql`create schema ${airlock}`);
}

async function hasJournal(tx: Transaction, schema: string): Promise<boolean> {
  const { rows } = await tx.execute(
    sql`select 1 from pg_tables where schemaname = ${schema} and tablename = 'migrations'`,
  );
  return rows.length > 0;
}

async function appliedTags(tx: Transaction): Promise<string[]> {
  const { rows } = await tx.execute<{ tag: string }>(sql`select tag from ${airlock}.migrations`);
  return rows.map(({ tag }) => tag);
}

async function note(tx: Transaction, tag: string): Promise<void> {
  await tx.execute(sql`insert into ${airlock}.migrations (tag) values (${tag})`);
}

function refuseNewer(applied: readonly string[], migrations: readonly Migration[]): void {
  const unknown = applied.filter((tag) => !migrations.some((one) => one.tag === tag));
  if (unknown.length === 0) return;
  throw new AppError('store_failed', `The database belongs to a newer Airlock: it has ${unknown.join(', ')}.`, {
    hint: 'Start the newer version, or restore a copy of the database from before the upgrade.',
  });
}

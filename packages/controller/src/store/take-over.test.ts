/** An upgrade of a database that the version before schemas made, beside tables of others, on every database. */
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { migrate as drizzleMigrate } from 'drizzle-orm/node-postgres/migrator';
import { Client, Pool } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createDatabase } from './database.js';
import { migrate } from './migrate.js';
import type { Database } from './store.js';
import { openStore } from './open.js';
import { databases, listUsers, silentLog, testSettings, type TestStore } from './testing.js';

const migrations = fileURLToPath(new URL('../../migrations', import.meta.url));
/** What that version had, with the times in its journal. */
const former = { '0000_first': 17950, '0001_custody': 17951, '0002_vm_use': 17952, '0003_session_clocks': 17953 };
const owned = ['auth_sessions', 'credentials', 'custody', 'tokens', 'users', 'vms'];

/** Their folder, as drizzle's own migrator reads it. */
async function formerFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'al-former-'));
  await mkdir(join(folder, 'meta'));
  const entries = Object.entries(former).map(([tag, when], idx) => ({
    ...{ idx, version: '7', tag, breakpoints: true },
    when: when * 100_000_000,
  }));
  await writeFile(join(folder, 'meta/_journal.json'), JSON.stringify({ version: '7', dialect: 'postgresql', entries }));
  for (const tag of Object.keys(former)) await cp(join(migrations, `${tag}.sql`), join(folder, `${tag}.sql`));
  return folder;
}

for (const { name, open, skip } of databases) {
  describe.skipIf(skip !== '')(`${name} ${skip}`, () => {
    let server: TestStore;
    let folder: string;
    /** One connection, so that a search path stays. */
    let pool: Pool;
    let db: Database;
    const execute = async (...statements: string[]): Promise<void> => {
      for (const statement of statements) await pool.query(statement);
    };
    const tablesIn = async (schema: string): Promise<string[]> => {
      const { rows } = await db.execute<{ name: string }>(
        sql`select tablename as name from pg_tables where schemaname = ${schema} order by tablename`,
      );
      return rows.map((row) => row.name);
    };
    const rowsOf = async (table: string): Promise<unknown[]> => (await pool.query(`select * from ${table}`)).rows;
    const upgrade = () => migrate(db, 'airlock', migrations);
    const installFormer = () => drizzleMigrate(drizzle(pool), { migrationsFolder: folder });

    beforeAll(async () => {
      folder = await formerFolder();
      server = await open();
    }, 120_000);
    afterAll(async () => {
      await server.close();
      await rm(folder, { recursive: true });
    }, 30_000);
    beforeEach(async () => {
      pool =
        server.store.kind === 'pglite'
          ? server.store.db.$client
          : new Pool({ ...server.store.db.$client.options, max: 1 });
      // An ended pool does not wait until its connection is closed: the server, which ends next, may still speak on it.
      pool.on('error', () => undefined);
      db = createDatabase(pool, 'airlock');
      await execute(
        'reset search_path',
        'drop schema if exists airlock, former, drizzle, public cascade',
        'create schema public',
      );
    });
    afterEach(async () => {
      if (pool !== server.store.db.$client) await pool.end();
    });

    const foreignUsers = [{ id: 1, email: 'someone@example.org' }];
    async function addForeignTables(): Promise<void> {
      await execute('create table public.users (id integer primary key, email text)');
      await execute("insert into public.users values (1, 'someone@example.org')");
      await execute('create table public.auth_sessions (id integer primary key)');
    }

    test('tables that Airlock made move with rows, indexes and constraints; nothing of its own is left behind', async () => {
      await installFormer();
      await execute("insert into users values ('usr_1', 'ada', 'user', 10001)");
      await upgrade();
      expect(await listUsers(db)).toEqual([{ id: 'usr_1', name: 'ada' }]);
      expect(await tablesIn('airlock')).toEqual(expect.arrayContaining(owned));
      expect([await tablesIn('public'), await tablesIn('drizzle')]).toEqual([[], []]);
      expect(await rowsOf("pg_namespace where nspname = 'drizzle'")).toEqual([]);
      await expect(pool.query("insert into airlock.users values ('usr_2', 'bob', 'user', 10001)")).rejects.toThrow(
        'users_proxy_port_key',
      );
      await expect(
        pool.query("insert into airlock.tokens values ('h', 'login', 'usr_none', null, now())"),
      ).rejects.toThrow('tokens_user_id_fkey');
      await upgrade();
      expect(await listUsers(db)).toHaveLength(1);
    });

    test('tables of others with the same names stay as they are', async () => {
      await addForeignTables();
      await execute('create schema former', 'set search_path to former, public');
      await installFormer();
      await execute("insert into former.users values ('usr_1', 'ada', 'user', 10001)");
      await upgrade();
      expect(await listUsers(db)).toEqual([{ id: 'usr_1', name: 'ada' }]);
      expect(await tablesIn('former')).toEqual([]);
      expect(await tablesIn('public')).toEqual(['auth_sessions', 'users']);
      expect(await rowsOf('public.users')).toEqual(foreignUsers);
    });

    test('a database with a journal and tables of another program gets new ones, and those stay as they are', async () => {
      await addForeignTables();
      await execute(
        'create schema drizzle',
        'create table drizzle.__drizzle_migrations (id serial, hash text, created_at bigint)',
      );
      await execute("insert into drizzle.__drizzle_migrations (hash, created_at) values ('of another', 1)");
      await upgrade();
      expect(await listUsers(db)).toEqual([]);
      expect(await rowsOf('public.users')).toEqual(foreignUsers);
      expect(await rowsOf('drizzle.__drizzle_migrations')).toMatchObject([{ hash: 'of another' }]);
    });

    test('in a journal that is shared, the rows of the other program stay', async () => {
      await execute(
        'create schema drizzle',
        'create table drizzle.__drizzle_migrations (id serial, hash text, created_at bigint)',
      );
      await execute("insert into drizzle.__drizzle_migrations (hash, created_at) values ('of another', 1)");
      await installFormer();
      await upgrade();
      expect(await rowsOf('drizzle.__drizzle_migrations')).toMatchObject([{ hash: 'of another' }]);
      expect(await tablesIn('public')).toEqual([]);
    });

    test('a journal without its tables is said, and nothing is changed', async () => {
      await installFormer();
      await execute('drop table custody');
      await expect(upgrade()).rejects.toMatchObject({
        code: 'store_failed',
        message: expect.stringContaining('custody') as string,
      });
      expect(await tablesIn('airlock')).toEqual([]);
      expect(await tablesIn('public')).toHaveLength(owned.length - 1);
    });

    test('the search path of others leads no statement astray', async () => {
      await addForeignTables();
      await upgrade();
      await execute('set search_path to public');
      await execute("insert into airlock.users values ('usr_1', 'ada', 'user', 10001)");
      expect(await listUsers(db)).toEqual([{ id: 'usr_1', name: 'ada' }]);
      await upgrade();
      expect((await pool.query<{ search_path: string }>('show search_path')).rows).toEqual([{ search_path: 'public' }]);
    });

    test('a database of a newer version is refused', async () => {
      await upgrade();
      await execute("insert into airlock.migrations (tag) values ('9999_later')");
      await expect(upgrade()).rejects.toMatchObject({
        code: 'store_failed',
        message: expect.stringContaining('9999_later') as string,
      });
    });

    test('two controllers that start at once do not make the tables twice', async () => {
      const many = createDatabase(server.store.db.$client, 'airlock');
      await Promise.all([1, 2, 3].map(() => migrate(many, 'airlock', migrations)));
      expect(await tablesIn('airlock')).toEqual(expect.arrayContaining(owned));
    });

    test('two schemas in one database are two installations', async () => {
      const other = createDatabase(pool, 'other');
      await execute('drop schema if exists other cascade');
      await upgrade();
      await migrate(other, 'other', migrations);
      await execute("insert into other.users values ('usr_1', 'ada', 'user', 10001)");
      expect([await listUsers(db), await listUsers(other)]).toEqual([[], [{ id: 'usr_1', name: 'ada' }]]);
      await execute('drop schema other cascade');
    });

    /** While there is a role that may make no schema, and owns the one of Airlock. */
    async function withNarrowRole(work: () => Promise<void>): Promise<void> {
      await execute('drop role if exists narrow', 'create role narrow login');
      await execute('create schema airlock authorization narrow');
      try {
        await work();
      } finally {
        await execute('reset role', 'drop owned by narrow cascade', 'drop role narrow');
      }
    }

    test('a user who may make no schema works in the one that was given', () =>
      withNarrowRole(async () => {
        await execute('set role narrow');
        await upgrade();
        expect(await tablesIn('airlock')).toEqual(expect.arrayContaining(owned));
        await expect(pool.query('create schema more')).rejects.toThrow('permission denied');
      }));

    test('a role that cannot tell whether Airlock made the tables there makes no new ones, and the former role moves them', () =>
      withNarrowRole(async () => {
        await installFormer();
        await execute("insert into users values ('usr_1', 'ada', 'user', 10001)", 'set role narrow');
        await expect(upgrade()).rejects.toMatchObject({
          code: 'store_failed',
          message: expect.stringMatching(
            'Schema public .* role narrow may not read drizzle.__drizzle_migrations',
          ) as string,
        });
        expect(await tablesIn('airlock')).toEqual([]);
        await execute('reset role');
        await upgrade();
        expect(await listUsers(db)).toEqual([{ id: 'usr_1', name: 'ada' }]);
      }));

    test('a journal that may not be read holds up nobody beside tables of this version or of others', () =>
      withNarrowRole(async () => {
        await addForeignTables();
        await execute('drop schema if exists other cascade');
        await migrate(createDatabase(pool, 'other'), 'other', migrations);
        await execute('create schema drizzle', 'create table drizzle.__drizzle_migrations (id serial)');
        await execute('set role narrow');
        await upgrade();
        expect(await listUsers(db)).toEqual([]);
        await execute('reset role', 'drop schema other cascade');
      }));

    describe.skipIf(name !== 'PostgreSQL')('where others can connect (PGlite: skipped, it is of one process)', () => {
      test('tables that an earlier version still uses stay where they are', async () => {
        await installFormer();
        const earlier = new Client({ ...pool.options, application_name: 'airlock' });
        await earlier.connect();
        await expect(migrate(createDatabase(pool, 'staging'), 'staging', migrations)).rejects.toMatchObject({
          code: 'store_failed',
          message: expect.stringContaining('earlier Airlock is connected') as string,
        });
        expect([await tablesIn('public'), await tablesIn('staging')]).toEqual([owned, []]);
        await earlier.end();
        await expect.poll(() => rowsOf("pg_stat_activity where application_name = 'airlock'")).toEqual([]);
        await upgrade();
        expect(await tablesIn('public')).toEqual([]);
      });

      test('a controller of this version says which schema it is for, and does not stand in the way of another', async () => {
        const url = server.store.db.$client.options.connectionString;
        const second = await openStore({ ...testSettings(server.home, url), AIRLOCK_DB_SCHEMA: 'second' }, silentLog);
        try {
          await installFormer();
          await upgrade();
          expect(await rowsOf("pg_stat_activity where application_name = 'airlock:second'")).toHaveLength(1);
        } finally {
          await second.close();
          await execute('drop schema second cascade');
        }
      });

      test('a role that does not own the tables of the earlier version is told so', () =>
        withNarrowRole(async () => {
          await installFormer();
          await execute(
            'grant usage on schema public, drizzle to narrow',
            'grant select on drizzle.__drizzle_migrations to narrow',
          );
          const url = new URL(server.store.db.$client.options.connectionString ?? '');
          url.username = 'narrow';
          await expect(openStore(testSettings(server.home, url.href), silentLog)).rejects.toMatchObject({
            message: expect.stringContaining('must be owner of table users') as string,
            hint: expect.stringContaining('owns the tables of the earlier version') as string,
          });
        }));
    });
  });
}

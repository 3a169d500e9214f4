/** The tables of all nouns, as migrations/ makes them: one suite on every database that Airlock supports. */
import { sql } from 'drizzle-orm';
import { getTableConfig, type PgTable } from 'drizzle-orm/pg-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { newId } from '@airlock/contract/ids';
import { sessionStatuses } from '@airlock/contract/session';
import { providerIds } from '@airlock/contract/provider/provider';
import { VmState } from '@airlock/contract/api';
import { audit } from './audit/table.js';
import { authSessions } from './session/table.js';
import { openStore, violatedUnique } from './store/open.js';
import { airlock } from './store/schema.js';
import { databases, silentLog, testSettings, type TestStore } from './store/testing.js';
import * as userTables from './user/table.js';
import * as vaultTables from './vault/table.js';
import { vms } from './vm/table.js';

const schema = { ...userTables, ...vaultTables, audit, authSessions, vms };
const tables: PgTable[] = Object.values(schema);

for (const { name, open, skip } of databases) {
  describe.skipIf(skip !== '')(`${name} ${skip}`, () => {
    let test_: TestStore;
    beforeAll(async () => {
      test_ = await open();
    }, 120_000);
    afterAll(() => test_.close(), 30_000);
    beforeEach(() => test_.empty());
    const db = () => test_.store.db;

    const refused = (work: Promise<unknown>): Promise<string | undefined> =>
      work.then(
        () => undefined,
        (error: unknown) => {
          const cause = (error as Error).cause as { code?: string; constraint?: string };
          return violatedUnique(error) ?? `${cause.code}`;
        },
      );

    async function user(proxyPort = 10001): Promise<string> {
      const id = newId('usr');
      await db()
        .insert(schema.users)
        .values({ id, name: `u${proxyPort}`, role: 'user', proxyPort });
      return id;
    }
    const session = (userId: string, values: Partial<typeof schema.authSessions.$inferInsert> = {}) =>
      db()
        .insert(schema.authSessions)
        .values({ id: newId('ses'), userId, provider: 'codex', status: 'pending', steps: [], ...values });
    const vm = (userId: string, values: Partial<typeof schema.vms.$inferInsert> = {}) =>
      db()
        .insert(schema.vms)
        .values({
          id: newId('vm'),
          userId,
          kind: 'cli',
          state: 'running',
          imageId: 'img_000000',
          accel: 'tcg',
          timings: { vncMs: null, agentMs: null, readyMs: null },
          ...values,
        });

    test.each(tables.map((table) => [getTableConfig(table).name, table] as const))(
      'table %s has the columns that its noun says',
      async (tableName, table) => {
        const { rows } = await db().execute<{
          name: string;
          type: string;
          nullable: boolean;
          has_default: boolean;
        }>(sql`
          select attname as name, format_type(atttypid, atttypmod) as type, not attnotnull as nullable, atthasdef or attidentity <> '' as has_default
          from pg_attribute where attrelid = ${`airlock.${tableName}`}::regclass and attnum > 0 and not attisdropped order by attname`);
        const expected = getTableConfig(table).columns.map((column) => ({
          name: column.name,
          type: column.getSQLType().replace(/^timestamp \((\d)\)/, 'timestamp($1)'),
          nullable: !column.notNull,
          has_default: column.hasDefault,
        }));
        expect(rows).toEqual(expected.sort((a, b) => (a.name < b.name ? -1 : 1)));
      },
    );

    test.each(tables.map((table) => [getTableConfig(table).name, table] as const))(
      'table %s has the indexes that its noun says',
      async (tableName, table) => {
        const { rows } = await db().execute<{ name: string }>(sql`
          select relname as name from pg_index join pg_class on oid = indexrelid
          where indrelid = ${`airlock.${tableName}`}::regclass and not indisprimary and relname not like '%_key' order by relname`);
        expect(rows.map((row) => row.name)).toEqual(
          getTableConfig(table)
            .indexes.map((index) => index.config.name)
            .sort(),
        );
      },
    );

    test('the migrations make no other table', async () => {
      const { rows } = await db().execute<{ name: string }>(
        sql`select tablename as name from pg_tables where schemaname = ${airlock.schemaName} order by tablename`,
      );
      const own = tables.map((table) => getTableConfig(table).name);
      expect(rows.map((row) => row.name)).toEqual([...own, 'migrations'].sort());
    });

    test('accepts every state of the contract', async () => {
      const userId = await user();
      for (const status of sessionStatuses) {
        for (const provider of providerIds) {
          await session(userId, { status, provider });
          await db().delete(schema.authSessions);
        }
      }
      for (const state of VmState.options) await vm(userId, { kind: 'browser', state });
      expect(await refused(session(userId, { status: 'done' as 'completed' }))).toBe('23514');
      expect(await refused(vm(userId, { state: 'gone' as 'failed' }))).toBe('23514');
    });

    test('leaves it to the registry which providers there are, and takes only what looks like an id', async () => {
      const userId = await user();
      await session(userId, { provider: 'of_another_version' as 'codex' });
      expect(await refused(session(userId, { provider: 'Codex; drop' as 'codex' }))).toBe('23514');
    });

    test('one open session for a provider, and any number of ended ones', async () => {
      const [a, b] = [await user(1), await user(2)];
      await session(a);
      expect(await refused(session(a, { status: 'delivering' }))).toBe('auth_sessions_one_open');
      await session(a, { provider: 'claude_code' });
      await session(b);
      for (const status of ['completed', 'failed', 'timeout', 'cancelled'] as const) await session(a, { status });
    });

    test('one CLI VM for a user, unless the older one is gone', async () => {
      const [a, b] = [await user(1), await user(2)];
      await vm(a, { state: 'destroyed' });
      await vm(a, { state: 'failed' });
      await vm(a, { state: 'stopped' });
      expect(await refused(vm(a, { state: 'creating' }))).toBe('vms_one_cli');
      await vm(a, { kind: 'browser' });
      await vm(a, { kind: 'browser' });
      await vm(b);
    });

    test('one proxy port, name and token for a user', async () => {
      await user(10001);
      const values = { id: newId('usr'), name: 'other', role: 'user', proxyPort: 10002 } as const;
      const insert = (more: Partial<typeof schema.users.$inferInsert>) =>
        refused(
          db()
            .insert(schema.users)
            .values({ ...values, id: newId('usr'), ...more }),
        );
      expect(await insert({ proxyPort: 10001 })).toBe('users_proxy_port_key');
      expect(await insert({ name: 'u10001' })).toBe('users_name_key');
      expect(await insert({ proxyPort: 0 })).toBe('23514');
      await db()
        .insert(schema.users)
        .values({ ...values, tokenHash: 'x' });
      expect(await insert({ name: 'third', proxyPort: 10003, tokenHash: 'x' })).toBe('users_token_hash_key');
    });

    test('one active credential for a provider', async () => {
      const userId = await user();
      const add = (generation: number, state: 'staged' | 'active') =>
        db()
          .insert(schema.credentials)
          .values({ userId, provider: 'codex', generation, lineage: 1, state, sessionId: newId('ses'), sealed: 'x' });
      await add(1, 'active');
      await add(2, 'staged');
      expect(await refused(add(2, 'staged'))).toBe('credentials_pkey');
      expect(await refused(add(3, 'active'))).toBe('credentials_one_active');
      expect(await refused(add(0, 'staged'))).toBe('23514');
    });

    test('nothing belongs to a user who does not exist', async () => {
      expect(await refused(session('usr_nobody'))).toBe('23503');
      expect(await refused(vm('usr_nobody'))).toBe('23503');
    });

    test('times keep their milliseconds', async () => {
      const userId = await user();
      const at = new Date('2030-01-02T03:04:05.678Z');
      await session(userId, { deadlineAt: at });
      expect((await db().select().from(authSessions))[0]?.deadlineAt).toEqual(at);
    });

    test('statements that run together, some of them failing, each get their own answer', async () => {
      await user(1);
      const results = await Promise.all(
        Array.from({ length: 300 }, async (_, i) => {
          if (i % 3 === 0) return refused(user(1));
          if (i % 3 === 1) return refused(db().execute(sql`select ${i}::int / 0`));
          return (await db().execute<{ n: number }>(sql`select ${i}::int as n`)).rows[0]?.n;
        }),
      );
      expect(results).toEqual(results.map((_, i) => ['users_name_key', '22012', i][i % 3]));
    });

    test('a transaction that fails leaves nothing', async () => {
      const failing = db().transaction(async (tx) => {
        await tx.insert(schema.users).values({ id: newId('usr'), name: 'gone', role: 'user', proxyPort: 7 });
        throw new Error('no');
      });
      await expect(failing).rejects.toThrow('no');
      expect(await db().select().from(schema.users)).toEqual([]);
    });
  });
}

test('a database that cannot be reached is reported without its password', async () => {
  const url = 'postgresql://airlock:CANARY@127.0.0.1:1/airlock';
  const error = await openStore(testSettings('/nowhere', url), silentLog).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ code: 'store_failed', hint: expect.stringContaining('DATABASE_URL') as string });
  expect(JSON.stringify(error) + String(error)).not.toContain('CANARY');
  expect(String(error)).toContain('ECONNREFUSED');
});

/** The audit on every database: records can be read, and nothing changes or removes one. */
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { airlock } from '../store/schema.js';
import { databases, type TestStore } from '../store/testing.js';
import { createAudit, system, type Audit } from './audit.js';

for (const { name, open, skip } of databases) {
  describe.skipIf(skip !== '')(`${name} ${skip}`, () => {
    let database: TestStore;
    let audit: Audit;
    beforeAll(async () => {
      database = await open();
      audit = createAudit(database.store);
    }, 120_000);
    afterAll(() => database.close(), 30_000);
    beforeEach(() => database.empty());

    const write = (userId: string | null, action: 'user_created' | 'vault_backed_up' | 'controller_started') =>
      audit.note({ actor: system, action, userId, details: { n: 1 } });
    const actions = async (userId: string | null) =>
      (await audit.list({ userId, limit: 10 })).map(({ action, userId: whom }) => `${action} ${whom}`);

    test.each([
      ['changed', sql`update ${airlock}.audit set actor_name = 'nobody'`],
      ['removed', sql`delete from ${airlock}.audit`],
      ['removed with all others', sql`truncate ${airlock}.audit`],
      ['changed where nobody sees it', sql`update ${airlock}.audit set details = '{}' where id = 0`],
    ])('a record is never %s', async (_how, statement) => {
      await write('usr_a', 'user_created');
      const before = await audit.list({ userId: null, limit: 10 });
      const refusal = await database.store.db.execute(statement).then(
        () => undefined,
        (error: unknown) => (error as Error).cause,
      );
      expect(refusal).toMatchObject({ message: 'The audit is only added to.', code: '42501' });
      expect(await audit.list({ userId: null, limit: 10 })).toEqual(before);
    });

    test('a user reads what concerns them and what concerns everybody; an administrator reads all', async () => {
      await write('usr_a', 'user_created');
      await write('usr_b', 'user_created');
      await write(null, 'vault_backed_up');
      await write(null, 'controller_started');
      expect(await actions('usr_a')).toEqual(['vault_backed_up null', 'user_created usr_a']);
      expect(await actions(null)).toHaveLength(4);
    });

    test('is read page by page', async () => {
      for (let n = 0; n < 5; n++) await write('usr_a', 'user_created');
      const first = await audit.list({ userId: 'usr_a', limit: 3 });
      const rest = await audit.list({ userId: 'usr_a', limit: 3, before: first.at(-1)?.id ?? 0 });
      const ids = [...first, ...rest].map(({ id }) => id);
      expect([first.length, rest.length, new Set(ids).size]).toEqual([3, 2, 5]);
      expect(ids).toEqual(ids.toSorted((a, b) => b - a));
    });

    test('is written with what it tells of, or not at all', async () => {
      const failing = database.store.db.transaction(async (tx) => {
        await audit.note({ actor: system, action: 'session_ended', userId: 'usr_a' }, tx);
        throw new Error('no');
      });
      await expect(failing).rejects.toThrow('no');
      expect(await actions(null)).toEqual([]);
    });
  });
}

/** How long the record of a sign-in is kept. The clock is given. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newId } from '@airlock/contract/ids';
import { isFinal, sessionStatuses } from '@airlock/contract/session';
import { readSettings } from '@airlock/contract/settings';
import { createAudit } from '../audit/audit.js';
import { addUser, databases, silentLog, type TestStore } from '../store/testing.js';
import { createSessionRows } from './rows.js';
import { removeOld, type RunContext } from './running.js';
import { authSessions } from './table.js';

const day = (n: number): Date => new Date(Date.UTC(2030, 0, n));

for (const { name, open, skip } of databases) {
  describe.skipIf(skip !== '')(`${name} ${skip}`, () => {
    let database: TestStore;
    beforeAll(async () => {
      database = await open();
    }, 120_000);
    afterAll(() => database.close(), 30_000);

    test('those that ended longer ago than AIRLOCK_KEEP_DAYS are removed, and no other', async () => {
      const { db } = database.store;
      const settings = readSettings({ AIRLOCK_HOME: database.home, AIRLOCK_KEEP_DAYS: '10' });
      for (const [at, status] of sessionStatuses.entries()) {
        const userId = newId('usr');
        await addUser(db, userId, userId, 20_000 + at);
        const ended = { userId, provider: 'codex' as const, status, steps: [] };
        await db.insert(authSessions).values([{ ...ended, id: `old_${status}`, updatedAt: day(1) }]);
        if (isFinal(status)) await db.insert(authSessions).values({ ...ended, id: `new_${status}`, updatedAt: day(2) });
      }
      const ctx = {
        rows: createSessionRows(db, createAudit(database.store), { ...settings, bootBoundMs: 480_000 }),
        settings,
        log: silentLog,
      } as unknown as RunContext;
      const left = async (): Promise<string[]> => (await db.select().from(authSessions)).map(({ id }) => id);
      const before = await left();
      await removeOld(ctx, day(11));
      expect(await left()).toEqual(before);
      await removeOld(ctx, new Date(day(11).getTime() + 1));
      const over = sessionStatuses.filter(isFinal).map((status) => `old_${status}`);
      expect(await left()).toEqual(before.filter((id) => !over.includes(id)));
    });
  });
}

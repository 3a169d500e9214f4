import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { newId } from '@airlock/contract/ids';
import { sessionStatuses, isFinal } from '@airlock/contract/session';
import { authSessions } from './table.js';
import { addUser, openEmbeddedTestStore, type TestStore } from '../store/testing.js';
import { usersSigningIn } from './in-use.js';

let database: TestStore;
const userId = newId('usr');
const noon = new Date('2026-01-01T12:00:00Z');
const at = (minutes: number): Date => new Date(noon.getTime() + minutes * 60_000);

beforeAll(async () => {
  database = await openEmbeddedTestStore();
}, 120_000);
afterAll(() => database.close(), 30_000);
beforeEach(async () => {
  await database.empty();
  await addUser(database.store.db, userId);
});

test.each(sessionStatuses)(
  'a session that is %s counts while it is under way, and for a time after its end',
  async (status) => {
    const session = { id: newId('ses'), userId, provider: 'codex' as const, steps: [], status, updatedAt: noon };
    await database.store.db.insert(authSessions).values(session);
    expect([...(await usersSigningIn(database.store.db, at(-1)))]).toEqual([userId]);
    expect([...(await usersSigningIn(database.store.db, at(1)))]).toEqual(isFinal(status) ? [] : [userId]);
  },
);

test('nobody is signing in where there is no session', async () => {
  expect([...(await usersSigningIn(database.store.db, at(-1)))]).toEqual([]);
});

/** How many sign-ins a user may start within an hour: each costs the host a VM. */
import { eq } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { system } from '../audit/audit.js';
import { AppError } from '@airlock/contract/errors';
import { newId } from '@airlock/contract/ids';
import { providerIds } from '@airlock/contract/provider/provider';
import { addUser } from '../store/testing.js';
import { authSessions } from './table.js';
import { useDesk } from './testing/desk.js';

const limit = 2;
const desk = useDesk({ AIRLOCK_USER_SIGN_INS: String(limit) });

/** The session was started so long ago. */
const age = (id: string, minutes: number) =>
  desk.store.store.db
    .update(authSessions)
    .set({ createdAt: new Date(Date.now() - minutes * 60_000) })
    .where(eq(authSessions.id, id));

test('sign-ins of an hour are counted, however they ended; the answer says when the next one may begin', async () => {
  const ids: string[] = [];
  for (let turn = 0; turn < limit; turn++) {
    const { id } = await desk.sessions.start(desk.ada, 'codex');
    await desk.sessions.cancel(desk.ada, id, system);
    ids.push(id);
  }
  await age(ids[0] ?? '', 59);
  await age(ids[1] ?? '', 30);
  const error = AppError.from(await desk.sessions.start(desk.ada, 'codex').catch((reason: unknown) => reason));
  expect(error.toBody()).toMatchObject({ code: 'quota_exceeded', details: { quota: 'sign_ins', limit } });
  const wait = Date.parse(String(error.details?.retryAt)) - Date.now();
  expect([wait > 50_000, wait < 61_000]).toEqual([true, true]);
  expect(error.hint).toContain('AIRLOCK_USER_SIGN_INS');
  const ben = newId('usr');
  await addUser(desk.store.store.db, ben, 'ben', 10_009);
  await expect(desk.sessions.start(ben, 'codex')).resolves.toMatchObject({ status: 'pending' });
  await age(ids[0] ?? '', 61);
  await expect(desk.sessions.start(desk.ada, 'codex')).resolves.toMatchObject({ status: 'pending' });
});

test('those that are started at one moment are counted, too', async () => {
  expect(providerIds.length).toBeGreaterThan(limit);
  const all = await Promise.allSettled(providerIds.map((provider) => desk.sessions.start(desk.ada, provider)));
  expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(limit);
  for (const one of all) if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'quota_exceeded' });
});

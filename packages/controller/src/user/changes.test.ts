/** What makes a secret of a user beside what ends them all, in the same moment; and that each change is noted, or not made. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AuditAction } from '@airlock/contract/audit';
import { createAudit, system, type Audit } from '../audit/audit.js';
import { hashSecret } from '../lib/secret.js';
import { databases, type TestStore } from '../store/testing.js';
import { createUsers } from './users.js';
import type { Users } from './user.js';

for (const { name, open, skip } of databases) {
  describe.skipIf(skip !== '')(`${name} ${skip}`, () => {
    let database: TestStore;
    let audit: Audit;
    let users: Users;
    let ada: Awaited<ReturnType<Users['create']>>;
    /** Called whenever somebody asks for the time, which making a secret does at its worst moment. */
    let onTime: () => void;
    let refuses: boolean;

    beforeAll(async () => {
      database = await open();
      audit = createAudit(database.store);
    }, 120_000);
    afterAll(() => database.close(), 30_000);
    beforeEach(async () => {
      await database.empty();
      onTime = () => undefined;
      refuses = false;
      users = await createUsers(database.store, {
        ...{ settings: { AIRLOCK_PROXY_PORT_BASE: 10001 }, adminToken: 'a'.repeat(43) },
        storeAdminToken: async () => undefined,
        audit: { note: (...all) => (refuses ? Promise.reject(new Error('no room')) : audit.note(...all)) },
        now: () => (onTime(), new Date()),
      });
      ada = await users.create('ada');
    });

    const adaId = (): string => ada.user.id;
    /** Does `act`, and at its turn-th look at the clock `revoke`; whether that came to be. */
    async function race(turn: number, act: () => Promise<unknown>, revoke: () => Promise<unknown>): Promise<boolean> {
      let looks = 0;
      let revoked: Promise<unknown> | undefined;
      onTime = () => {
        if (looks++ === turn) revoked = revoke();
      };
      await act().catch(() => undefined);
      onTime = () => undefined;
      await revoked;
      return revoked !== undefined;
    }
    /** At whatever moment. `check` is asked after each. */
    async function expectRaces(
      act: () => Promise<unknown>,
      revoke: () => Promise<unknown>,
      check: () => Promise<void>,
    ): Promise<void> {
      let turn = 0;
      for (; await race(turn, act, revoke); turn++) await check();
      expect(turn).toBeGreaterThan(0);
    }
    const expectNoSignIn = async (): Promise<void> => expect(await users.signIns(adaId())).toEqual([]);

    test('no sign-in comes to be after everybody was signed out that was begun before', async () => {
      const act = async () => users.login((await users.createLoginToken(adaId())).token);
      await expectRaces(act, () => users.endSignIns(adaId()), expectNoSignIn);
    });

    test('nor after its user was disabled, also when they are let in again', async () => {
      const act = async () => users.login((await users.createLoginToken(adaId())).token);
      const revoke = async () => {
        await users.keepOut(adaId(), 'disabled');
        await users.letIn(adaId());
      };
      await expectRaces(act, revoke, expectNoSignIn);
    });

    test.each(['own', 'of an administrator'])(
      'nor from a link made with an API token (%s) that was rotated',
      async (whose) => {
        const [admin] = await users.list();
        const makerId = whose === 'own' ? adaId() : (admin?.id ?? '');
        let token = whose === 'own' ? ada.token : 'a'.repeat(43);
        let link = '';
        const make = async () => {
          ({ token: link } = await users.createLoginToken(adaId(), { actor: system, madeWith: hashSecret(token) }));
        };
        const rotate = async () => void (token = await users.rotateToken(makerId));
        await expectRaces(make, rotate, async () => {
          await expect(users.login(link)).rejects.toMatchObject({ code: 'login_token_invalid' });
          await expectNoSignIn();
        });
        await make();
        expect(await users.login(link)).toMatchObject({ user: { name: 'ada' } });
      },
    );

    test('all at once: nothing that is begun before outlives what ends it', async () => {
      const links = await Promise.all(Array.from({ length: 20 }, () => users.createLoginToken(adaId())));
      const logins = links.map(({ token }) => users.login(token).catch(() => undefined));
      await users.endSignIns(adaId());
      await expectNoSignIn();
      const made = await Promise.all(logins);
      for (const one of made) {
        if (one) expect(await users.byCookie(one.cookie, one.page)).toBeUndefined();
      }
    });

    describe('a change', () => {
      const acts: Partial<Record<AuditAction, (signIn: string, link: string) => Promise<unknown>>> = {
        user_created: () => users.create('bob'),
        user_disabled: () => users.keepOut(adaId(), 'disabled'),
        user_removed: () => users.keepOut(adaId(), 'removing'),
        user_enabled: () => users.letIn(adaId()),
        user_token_rotated: () => users.rotateToken(adaId()),
        admin_token_rotated: async () => users.rotateToken((await users.list())[0]?.id ?? ''),
        login_link_created: () => users.createLoginToken(adaId()),
        signed_in: (_signIn, link) => users.login(link),
        signed_out: (signIn) => users.endSignIn(adaId(), signIn),
        signed_out_everywhere: () => users.endSignIns(adaId()),
      };
      const state = async () => ({ users: await users.list(), signIns: await users.signIns(adaId()) });

      test.each(Object.keys(acts) as AuditAction[])('%s is noted once, or not made', async (action) => {
        const { signIn, ...secrets } = await users.login((await users.createLoginToken(adaId())).token);
        const link = (await users.createLoginToken(adaId())).token;
        const act = acts[action] ?? (() => Promise.reject(new Error(`no act ${action}`)));
        const [before, records] = [await state(), await audit.list({ userId: null, limit: 50 })];
        refuses = true;
        await expect(act(signIn, link)).rejects.toThrow('no room');
        expect(await state()).toEqual(before);
        expect(await users.byCookie(secrets.cookie, secrets.page)).toMatchObject({ signIn: { id: signIn } });
        expect(await users.byToken(ada.token)).toBeDefined();
        expect(await audit.list({ userId: null, limit: 50 })).toEqual(records);
        refuses = false;
        await act(signIn, link);
        const [newest, ...rest] = await audit.list({ userId: null, limit: 50 });
        expect(newest?.action).toBe(action);
        expect(rest).toEqual(records);
      });

      test('of what is not there leaves no record', async () => {
        const records = await audit.list({ userId: null, limit: 50 });
        const refused = [
          users.endSignIn(adaId(), 'sgn_nothing'),
          users.endSignIn('usr_nobody', 'sgn_nothing'),
          users.endSignIns('usr_nobody'),
          users.keepOut('usr_nobody', 'removing'),
          users.letIn('usr_nobody'),
          users.rotateToken('usr_nobody'),
          users.createLoginToken('usr_nobody'),
          users.create('ada'),
        ];
        for (const { status } of await Promise.allSettled(refused)) expect(status).toBe('rejected');
        expect(await audit.list({ userId: null, limit: 50 })).toEqual(records);
      });
    });
  });
}

/** Generations, compare-and-set, backup and rotation, on every database that Airlock supports. */
import { readFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { CredentialBundle } from '@airlock/contract/guest';
import { newId } from '@airlock/contract/ids';
import { credentials, homeKeys } from './table.js';
import { airlock } from '../store/schema.js';
import { databases, type TestStore } from '../store/testing.js';
import { newVaultKey } from './key.js';
import { createKeyRing } from './ring.js';
import { contextOf } from './rows.js';
import { bundleOf, createTestVault, testVault, tokenOf, type TestVault } from './testing.js';

const conflict = { code: 'vault_conflict' };
/** A bundle of Codex with the same content under each of these paths. */
const withFiles = (...paths: string[]): CredentialBundle => ({
  provider: 'codex',
  files: paths.flatMap((path) => bundleOf('two').files.map((file) => ({ ...file, path }))),
});
/** The same login with a program to run beside it, for everybody to read and write. */
function planted(token: string): CredentialBundle {
  const files = bundleOf(token).files.map(({ path, contentBase64 }) => {
    const document = JSON.parse(Buffer.from(contentBase64, 'base64').toString()) as object;
    const text = JSON.stringify({ mcpServers: { x: { command: 'sh' } }, ...document, notify: ['sh'] });
    return { path, mode: 0o777, contentBase64: Buffer.from(text).toString('base64') };
  });
  return { provider: 'codex', files };
}
const passphrase = `a long passphrase ${randomBytes(4).toString('hex')}`;

for (const { name, open, skip } of databases) {
  describe.skipIf(skip !== '')(`${name} ${skip}`, { timeout: 60_000 }, () => {
    let store: TestStore;
    let v: TestVault;
    beforeAll(async () => {
      store = await open();
    }, 120_000);
    afterAll(() => store.close(), 30_000);
    beforeEach(async () => {
      await store.empty();
      v = await createTestVault(store);
    });

    async function signIn(token: string): Promise<number> {
      const { lineage } = await v.vault.stage({ ...v.owner, sessionId: newId('ses') }, bundleOf(token));
      await v.vault.commit(v.owner.userId, 'codex', lineage);
      return lineage;
    }
    /** VMs that have a home. */
    const homes = (): ReadonlySet<string> => new Set([v.vmId]);
    const delivered = (generation: number) =>
      v.vault.note(v.owner, { holderVmId: v.vmId, deliveredAs: generation, deliveredGeneration: generation });
    const stored = async (): Promise<string | undefined> =>
      tokenOf((await v.vault.active(v.owner.userId, 'codex'))?.bundle);
    const generations = async (): Promise<[number, string][]> =>
      (await v.vault.list(v.owner.userId)).map(({ generation, state }) => [generation, state]);

    test('a refresh becomes the next generation, for the VM that holds the newest', async () => {
      const first = await signIn('one');
      await delivered(first);
      const second = await v.vault.writeBack(v.owner, v.vmId, first, bundleOf('two'));
      expect(second).toBeGreaterThan(first);
      expect(await generations()).toEqual([[second, 'active']]);
      expect(await stored()).toBe('two');
      expect(await v.vault.writeBack(v.owner, v.vmId, second, bundleOf('three'))).toBe(second + 1);
    });

    test.each([
      ['of an older generation', async () => v.vault.writeBack(v.owner, v.vmId, 1, bundleOf('late'))],
      ['by another VM', async () => v.vault.writeBack(v.owner, newId('vm'), 2, bundleOf('late'))],
      ['of a generation that was never there', async () => v.vault.writeBack(v.owner, v.vmId, 9, bundleOf('late'))],
    ])('a write %s is refused, and changes nothing', async (_what, write) => {
      await delivered(await signIn('one'));
      await v.vault.writeBack(v.owner, v.vmId, 1, bundleOf('two'));
      await expect(write()).rejects.toMatchObject(conflict);
      expect(await stored()).toBe('two');
      expect(await generations()).toEqual([[2, 'active']]);
    });

    test('of many writers at once with the same generation one wins', async () => {
      await delivered(await signIn('one'));
      const results = await Promise.allSettled(
        ['a', 'b', 'c', 'd', 'e', 'f'].map((token) => v.vault.writeBack(v.owner, v.vmId, 1, bundleOf(token))),
      );
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      expect(results.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []))).toEqual(
        Array.from({ length: 5 }, () => expect.objectContaining(conflict) as unknown),
      );
      expect(await generations()).toEqual([[2, 'active']]);
    });

    test('a writer of a removed credential cannot bring it back', async () => {
      await delivered(await signIn('one'));
      expect(await v.vault.remove(v.owner)).toBe(true);
      await expect(v.vault.writeBack(v.owner, v.vmId, 1, bundleOf('late'))).rejects.toMatchObject(conflict);
      expect(await generations()).toEqual([]);
      expect(await v.vault.remove(v.owner)).toBe(false);
      expect(await signIn('new')).toBe(3);
    });

    test.each<[string, CredentialBundle]>([
      ['a file that its provider does not have', withFiles('.codex/auth.json', '.bashrc')],
      ['a file twice', withFiles('.codex/auth.json', '.codex/auth.json')],
      ['the name of another provider', { ...bundleOf('two'), provider: 'gemini_cli' }],
    ])('what a VM hands out with %s is not sealed', async (_what, wrong) => {
      const refused = { code: 'credential_invalid' };
      await delivered(await signIn('one'));
      await expect(v.vault.stage({ ...v.owner, sessionId: newId('ses') }, wrong)).rejects.toMatchObject(refused);
      await expect(v.vault.writeBack(v.owner, v.vmId, 1, wrong)).rejects.toMatchObject(refused);
      expect([await stored(), await generations()]).toEqual(['one', [[1, 'active']]]);
    });

    test('what a VM, a backup or an older version planted beside a login is neither sealed nor delivered', async () => {
      const clean = bundleOf('one');
      const dirty = planted('one');
      const sessionId = newId('ses');
      const { lineage } = await v.vault.stage({ ...v.owner, sessionId }, dirty);
      expect(await v.vault.staged(sessionId)).toEqual({ lineage, bundle: clean });
      await v.vault.commit(v.owner.userId, 'codex', lineage);
      await delivered(lineage);
      await v.vault.writeBack(v.owner, v.vmId, lineage, planted('two'));
      const opened = async (): Promise<string> => {
        const [row] = await v.vault.list(v.owner.userId);
        return row ? v.ring.open(contextOf(row), row.sealed) : '';
      };
      expect(JSON.parse(await opened())).toEqual(bundleOf('two'));
      // As versions before have sealed it.
      const [row] = await v.vault.list(v.owner.userId);
      if (!row) throw new Error('no row');
      const sealed = await v.ring.sealing((seal) => seal(contextOf(row), JSON.stringify(dirty)));
      await store.store.db.update(credentials).set({ sealed });
      expect(await v.vault.read({ ...row, sealed })).toEqual(clean);
      expect((await v.vault.active(v.owner.userId, 'codex'))?.bundle).toEqual(clean);
      // Its backup has it still, and what is restored has not.
      const { backup } = await v.vault.backup(passphrase);
      await store.store.db.delete(credentials);
      expect((await v.vault.restore(passphrase, backup, homes()))[0]?.result).toBe('restored');
      expect(JSON.parse(await opened())).toEqual(clean);
    });

    test('a removal leaves no row with anything sealed', async () => {
      await delivered(await signIn('one'));
      await v.vault.stage({ ...v.owner, sessionId: newId('ses') }, bundleOf('two'));
      await v.vault.remove(v.owner);
      expect(await store.store.db.select().from(credentials)).toEqual([]);
    });

    test('a refresh between staging and commit does not keep the new sign-in out, and numbers only grow', async () => {
      await delivered(await signIn('one'));
      const { lineage } = await v.vault.stage({ ...v.owner, sessionId: newId('ses') }, bundleOf('new'));
      await v.vault.writeBack(v.owner, v.vmId, 1, bundleOf('refreshed'));
      expect(await generations()).toEqual([
        [3, 'active'],
        [2, 'staged'],
      ]);
      await v.vault.commit(v.owner.userId, 'codex', lineage);
      expect(await generations()).toEqual([[4, 'active']]);
      expect(await stored()).toBe('new');
    });

    test('what its proof made the CLI refresh is what becomes active', async () => {
      const { lineage } = await v.vault.stage({ ...v.owner, sessionId: newId('ses') }, bundleOf('new'));
      await delivered(lineage);
      await v.vault.writeBack(v.owner, v.vmId, lineage, bundleOf('newer'));
      await v.vault.commit(v.owner.userId, 'codex', lineage);
      expect(await stored()).toBe('newer');
    });

    test('a commit may be repeated; one of an earlier sign-in is refused', async () => {
      const early = await v.vault.stage({ ...v.owner, sessionId: newId('ses') }, bundleOf('early'));
      const late = await signIn('late');
      await v.vault.commit(v.owner.userId, 'codex', late);
      await expect(v.vault.commit(v.owner.userId, 'codex', early.lineage)).rejects.toMatchObject(conflict);
      expect(await stored()).toBe('late');
    });

    test('a session finds what it staged, and whether it was committed', async () => {
      const sessionId = newId('ses');
      const { lineage } = await v.vault.stage({ ...v.owner, sessionId }, bundleOf('one'));
      expect(await v.vault.staged(sessionId)).toEqual({ lineage, bundle: bundleOf('one') });
      expect(await v.vault.isCommitted(sessionId)).toBe(false);
      await v.vault.commit(v.owner.userId, 'codex', lineage);
      await delivered(lineage);
      await v.vault.writeBack(v.owner, v.vmId, lineage, bundleOf('two'));
      expect(await v.vault.isCommitted(sessionId)).toBe(true);
      expect(await v.vault.staged(sessionId)).toBeUndefined();
      await v.vault.discard(sessionId);
      expect(await stored()).toBe('two');
    });

    test('a row that was put in the place of another does not open', async () => {
      await signIn('one');
      await store.store.db.update(credentials).set({ generation: 7 });
      await expect(v.vault.active(v.owner.userId, 'codex')).rejects.toMatchObject({ code: 'vault_key_invalid' });
    });

    describe('rotation', () => {
      test('seals everything again, retires the old key, and changes no secret', async () => {
        await signIn('one');
        await v.vault.stage({ ...v.owner, sessionId: newId('ses') }, bundleOf('two'));
        const homeKey = await v.vault.openHomeKey(v.vmId);
        const before = await store.store.db.select().from(credentials);
        const [old] = v.ring.ids();
        const status = await v.vault.rotate();
        expect(status).toEqual({
          keyId: expect.not.stringMatching(old) as string,
          oldKeyIds: [],
          sealed: 3,
          underOldKeys: 0,
          lost: 0,
        });
        expect(v.keyFile.map(({ id }) => id)).toEqual([status.keyId]);
        expect(await stored()).toBe('one');
        expect(await v.vault.openHomeKey(v.vmId)).toBe(homeKey);
        const after = await store.store.db.select().from(credentials);
        expect(after.map(({ sealed }) => sealed)).not.toContain(before[0]?.sealed);
        expect(after.map((row) => ({ ...row, sealed: '' }))).toEqual(before.map((row) => ({ ...row, sealed: '' })));
      });

      test('goes on with the key that an interrupted one has begun with', async () => {
        await signIn('one');
        await v.ring.turn();
        const [begun, old] = v.ring.ids();
        expect(await v.vault.status()).toMatchObject({ keyId: begun, oldKeyIds: [old], underOldKeys: 2 });
        expect(await stored()).toBe('one');
        expect(await v.vault.rotate()).toMatchObject({ keyId: begun, oldKeyIds: [], underOldKeys: 0 });
        expect(await stored()).toBe('one');
      });

      test('loses nothing that is stored at the same time', async () => {
        let generation = await signIn('0');
        await delivered(generation);
        const rotating = Promise.all([v.vault.rotate(), v.vault.rotate()]);
        for (let i = 1; i <= 20; i++)
          generation = await v.vault.writeBack(v.owner, v.vmId, generation, bundleOf(`${i}`));
        const [one, other] = await rotating;
        expect(one).toEqual(other);
        expect(await stored()).toBe('20');
        expect(await v.vault.status()).toMatchObject({ oldKeyIds: [], underOldKeys: 0, lost: 0 });
      });

      test('says how much is lost when a key is gone, and does not stop at it', async () => {
        await signIn('one');
        const ring = createKeyRing([newVaultKey()], async () => undefined);
        const stranger = testVault(store.store, ring);
        expect(await stranger.status()).toMatchObject({ sealed: 2, underOldKeys: 0, lost: 2 });
        expect(await stranger.rotate()).toMatchObject({ sealed: 2, lost: 2 });
        expect(await stored()).toBe('one');
      });
    });

    describe('backup', () => {
      test('brings back what is gone, in a database of another key and other ids', async () => {
        await signIn('one');
        const { backup, ...counts } = await v.vault.backup(passphrase);
        expect(counts).toEqual({ credentials: 1, homeKeys: 1 });
        await store.empty();
        const fresh = await createTestVault(store);
        expect(await fresh.vault.restore(passphrase, backup, new Set([fresh.vmId]))).toEqual([
          { name: 'ada/codex', result: 'restored', reason: null },
          { name: v.vmId, result: 'absent', reason: null },
        ]);
        expect(tokenOf((await fresh.vault.active(fresh.owner.userId, 'codex'))?.bundle)).toBe('one');
        expect((await fresh.vault.restore(passphrase, backup, homes()))[0]).toEqual({
          name: 'ada/codex',
          result: 'kept',
          reason: null,
        });
      });

      test('opens what a lost vault key has closed', async () => {
        await signIn('one');
        const { backup } = await v.vault.backup(passphrase);
        const ring = createKeyRing([newVaultKey()], async () => undefined);
        const vault = testVault(store.store, ring);
        await expect(vault.active(v.owner.userId, 'codex')).rejects.toMatchObject({ code: 'vault_key_invalid' });
        expect(await vault.restore(passphrase, backup, homes())).toEqual([
          { name: 'ada/codex', result: 'restored', reason: null },
          { name: v.vmId, result: 'restored', reason: null },
        ]);
        expect(tokenOf((await vault.active(v.owner.userId, 'codex'))?.bundle)).toBe('one');
        expect(await vault.status()).toMatchObject({ lost: 0 });
      });

      test.each([
        ['refreshed since', async () => void (await v.vault.writeBack(v.owner, v.vmId, 1, bundleOf('two'))), 'two'],
        ['connected anew since', async () => void (await signIn('two')), 'two'],
        ['removed since', async () => void (await v.vault.remove(v.owner)), undefined],
      ])('leaves alone what was %s', async (_what, change, expected) => {
        await delivered(await signIn('one'));
        const { backup } = await v.vault.backup(passphrase);
        await change();
        expect((await v.vault.restore(passphrase, backup, homes()))[0]).toEqual({
          name: 'ada/codex',
          result: 'newer',
          reason: null,
        });
        expect(await stored()).toBe(expected);
      });

      test('holds no name, token or key in the clear, and opens with no other passphrase', async () => {
        await signIn('canary-token');
        const { backup } = await v.vault.backup(passphrase);
        const clear = Buffer.from(
          backup
            .split('.')
            .map((part) => Buffer.from(part, 'base64url').toString('latin1'))
            .join(''),
        );
        for (const secret of ['canary-token', 'ada', 'codex', await v.vault.openHomeKey(v.vmId)]) {
          expect(backup + clear.toString('latin1')).not.toContain(secret);
        }
        await expect(v.vault.restore(`${passphrase}!`, backup, homes())).rejects.toMatchObject({
          code: 'backup_invalid',
        });
      });

      test.each([
        ['cut short', (text: string) => text.slice(0, -100)],
        ['cut to its head', (text: string) => text.split('.')[0] ?? ''],
        ['altered', (text: string) => text.replace(/.{20}$/, 'AAAAAAAAAAAAAAAAAAAA')],
        ['empty', () => ''],
        ['something else', () => 'hello, world'],
        [
          'asking for more rounds than a backup has',
          (text: string) =>
            text.replace(/^[^.]+/, (head) => {
              const json = JSON.parse(Buffer.from(head, 'base64url').toString()) as Record<string, unknown>;
              return Buffer.from(JSON.stringify({ ...json, p2c: 10_000_000 })).toString('base64url');
            }),
        ],
      ])('says so when the file is %s', async (_what, spoil) => {
        await signIn('one');
        const { backup } = await v.vault.backup(passphrase);
        await expect(v.vault.restore(passphrase, spoil(backup), homes())).rejects.toMatchObject({
          code: 'backup_invalid',
        });
        expect(await stored()).toBe('one');
      });
    });

    describe('keys of homes', () => {
      test('are made once, open for their VM, and go with it', async () => {
        const vmId = newId('vm');
        await v.vault.sealHomeKey(vmId);
        const key = await v.vault.openHomeKey(vmId);
        expect(Buffer.from(key, 'base64')).toHaveLength(64);
        expect(key).not.toBe(await v.vault.openHomeKey(v.vmId));
        await expect(v.vault.sealHomeKey(vmId)).rejects.toThrow('home_keys');
        expect(await v.vault.openHomeKey(vmId)).toBe(key);
        await v.vault.dropHomeKey(vmId);
        await v.vault.dropHomeKey(vmId);
        await expect(v.vault.openHomeKey(vmId)).rejects.toMatchObject({
          code: 'home_key_lost',
          hint: expect.stringMatching(`airlock vm destroy ${vmId}.*0.1 started such a VM`) as string,
        });
      });

      test.each([
        ['lost', () => store.store.db.delete(homeKeys), 'holds no key'],
        ['damaged', () => store.store.db.update(homeKeys).set({ sealed: 'x.y.z' }), 'does not open'],
        ['moved to another VM', () => store.store.db.update(homeKeys).set({ vmId: 'vm_other' }), 'holds no key'],
      ])(
        'one that was %s is said with the name of its VM, and a backup brings it back',
        async (_what, spoil, words) => {
          const key = await v.vault.openHomeKey(v.vmId);
          const { backup } = await v.vault.backup(passphrase);
          await spoil();
          await expect(v.vault.openHomeKey(v.vmId)).rejects.toMatchObject({
            code: 'home_key_lost',
            message: expect.stringMatching(new RegExp(`${words}|${v.vmId}`)) as string,
            hint: expect.stringContaining('airlock vault restore') as string,
          });
          expect(await v.vault.restore(passphrase, backup, homes())).toEqual([
            { name: v.vmId, result: 'restored', reason: null },
          ]);
          expect(await v.vault.openHomeKey(v.vmId)).toBe(key);
        },
      );

      test('of VMs that are gone are not brought back', async () => {
        const { backup } = await v.vault.backup(passphrase);
        await v.vault.dropHomeKey(v.vmId);
        expect(await v.vault.restore(passphrase, backup, new Set())).toEqual([
          { name: v.vmId, result: 'absent', reason: null },
        ]);
        await expect(v.vault.openHomeKey(v.vmId)).rejects.toMatchObject({ code: 'home_key_lost' });
      });
    });

    test('the migration takes over credentials of before, with the CLI VM as their holder', async () => {
      await signIn('one');
      const read = (tag: string) => readFile(new URL(`../../migrations/${tag}.sql`, import.meta.url), 'utf8');
      const texts = await Promise.all(['0001_custody', '0009_looks'].map(read));
      const statements = texts.flatMap((text) => text.split('--> statement-breakpoint'));
      await store.store.db.transaction(async (tx) => {
        await tx.execute(sql`set local search_path to ${airlock}`);
        await tx.execute(sql`drop table custody`);
        await tx.execute(sql`alter table credentials drop column lineage, drop column method`);
        for (const statement of statements) await tx.execute(sql.raw(statement));
      });
      expect(await v.vault.list(v.owner.userId)).toMatchObject([{ generation: 1, lineage: 1, method: 'login' }]);
      expect(await v.vault.custody(v.owner.userId)).toMatchObject([
        { lastGeneration: 1, holderVmId: v.vmId, deliveredAs: 1, deliveredGeneration: 1, confirmed: false },
      ]);
    });
  });
}

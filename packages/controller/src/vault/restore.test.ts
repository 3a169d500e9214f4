/** What becomes of a backup with entries that are no good. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { databases, type TestStore } from '../store/testing.js';
import { sealBackup } from './backup-file.js';
import { bundleOf, createTestVault, tokenOf, type TestVault } from './testing.js';

const passphrase = 'a passphrase of a test';

for (const { name: database, open, skip } of databases) {
  describe.skipIf(skip !== '')(`${database} ${skip}`, { timeout: 60_000 }, () => {
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

    test('a bad entry of a backup keeps no other from being restored, and is named without a value', async () => {
      const updatedAt = new Date().toISOString();
      const entry = { user: 'ada', provider: 'codex', generation: 9, method: 'login', updatedAt } as const;
      const fileOf = (document: object, path = '.codex/auth.json') => ({
        provider: 'codex',
        files: [{ path, mode: 0o600, contentBase64: Buffer.from(JSON.stringify(document)).toString('base64') }],
      });
      const tokens = { id_token: 'i', access_token: 'a', refresh_token: 'canary with blanks' };
      const credentials = [
        { ...entry, bundle: fileOf({}) },
        { ...entry, bundle: fileOf({ tokens }) },
        { ...entry, bundle: fileOf({ tokens: { ...tokens, refresh_token: 'r' } }, '.bashrc') },
        { ...entry, bundle: { ...bundleOf('two'), provider: 'gemini_cli' } },
        { ...entry, provider: 'canary_cli', bundle: bundleOf('two') },
        { ...entry, generation: 2 ** 40, bundle: bundleOf('two') },
        { ...entry, updatedAt: '0000-01-01T00:00:00Z', bundle: bundleOf('two') },
        { ...entry, bundle: { ...bundleOf('two'), canary: 'canary' } },
        'canary',
        null,
        { ...entry, bundle: bundleOf('two') },
      ];
      const homeKeys = [
        { vmId: v.vmId, key: 'canary' },
        { vmId: 'canary', key: randomBytes(64).toString('base64') },
        { vmId: v.vmId, key: randomBytes(64).toString('base64') },
      ];
      await v.vault.dropHomeKey(v.vmId);
      const made = await sealBackup(passphrase, { version: 1, createdAt: updatedAt, homeKeys, credentials });
      const entries = await v.vault.restore(passphrase, made, new Set([v.vmId]));
      const restored = { result: 'restored', reason: null };
      expect(entries.filter(({ result }) => result !== 'left_out')).toEqual([
        { name: 'ada/codex', ...restored },
        { name: v.vmId, ...restored },
      ]);
      expect(tokenOf((await v.vault.active(v.owner.userId, 'codex'))?.bundle)).toBe('two');
      expect(await v.vault.openHomeKey(v.vmId)).toBe(homeKeys[2]?.key);
      const leftOut = entries.filter(({ result }) => result === 'left_out');
      expect(leftOut.map(({ name }) => name)).toEqual([
        ...['ada/codex', 'ada/codex', 'ada/codex', 'ada/codex', 'credential 5', 'ada/codex', 'ada/codex', 'ada/codex'],
        ...['credential 9', 'credential 10', v.vmId, 'home key 2'],
      ]);
      expect(leftOut[0]?.reason).toContain('.codex/auth.json lacks tokens');
      expect(leftOut[1]?.reason).toContain('.codex/auth.json lacks tokens. Left out: .codex/auth.json: tokens.');
      expect(leftOut[2]?.reason).toContain('".bashrc" is none of the codex credential');
      for (const { reason } of leftOut) expect(reason).toMatch(/^(?!.*canary).{10,300}$/);
    });

    test('what is no fault of an entry ends the restore, and a second one goes on', async () => {
      const updatedAt = new Date().toISOString();
      const entry = { user: 'ada', provider: 'codex', generation: 9, method: 'login', updatedAt } as const;
      const credentials = [{ ...entry, bundle: bundleOf('two') }];
      const made = await sealBackup(passphrase, { version: 1, createdAt: updatedAt, homeKeys: [], credentials });
      const lost = async (): Promise<never> => {
        throw new Error('the connection was lost');
      };
      await expect(v.vault.restore(passphrase, made, new Set(), lost)).rejects.toThrow('the connection was lost');
      expect(await v.vault.restore(passphrase, made, new Set())).toMatchObject([{ result: 'restored' }]);
    });
  });
}

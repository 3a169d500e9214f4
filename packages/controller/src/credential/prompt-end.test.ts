/** What the ends of prompts show of a login, in both databases. The agent is played by its protocol. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { newId } from '@airlock/contract/ids';
import { databases, silentLog as log, type TestStore } from '../store/testing.js';
import { bundleOf, createTestVault, type TestVault } from '../vault/testing.js';
import { createCustodian } from './create.js';
import type { Custodian } from './custodian.js';
import { createCredentialGuard } from './guard.js';
import { playVms } from './testing.js';

const settings = {
  AIRLOCK_CREDENTIAL_POLL_S: 3600,
  AIRLOCK_HEALTH_INTERVAL_S: 3600,
  AIRLOCK_HEALTH_MAX_AGE_S: 604_800,
};
const never = new AbortController().signal;

for (const { name, open, skip } of databases) {
  describe.skipIf(skip !== '')(`${name} ${skip}`, { timeout: 60_000 }, () => {
    let store: TestStore;
    let v: TestVault;
    let custodian: Custodian;
    beforeAll(async () => {
      store = await open();
    }, 120_000);
    afterAll(() => store.close(), 30_000);
    beforeEach(async () => {
      await store.empty();
      v = await createTestVault(store);
      const guard = createCredentialGuard({ vault: v.vault, log });
      const { vms } = playVms(store, v.vmId, guard);
      custodian = createCustodian({ vault: v.vault, vms, guard, settings, log });
    });
    afterEach(() => custodian.close());

    async function connect(token: string): Promise<void> {
      const { userId } = v.owner;
      const { lineage } = await v.vault.stage({ ...v.owner, sessionId: newId('ses') }, bundleOf(token));
      await custodian.deliver(v.vmId, { userId, provider: 'codex', lineage }, never);
      await v.vault.commit(userId, 'codex', lineage);
    }
    const summary = async () => (await custodian.list(v.owner.userId))[0];

    describe('what a prompt shows of its login', () => {
      const renewal = 'Your access token could not be refreshed because your refresh token';
      test.each([
        [`${renewal} was already used. Please log out and sign in again.`, 'revoked', 'Another program has used'],
        [`${renewal} was revoked. Please log out and sign in again.`, 'revoked', 'OpenAI has taken this login back'],
        [`${renewal} has expired. Please log out and sign in again.`, 'needs_login', 'The login of Codex has ended'],
        [
          'unexpected status 401 Unauthorized: Incorrect API key provided',
          'needs_login',
          'does not accept this API key',
        ],
      ])('is its health, with its reason, until a prompt succeeds: %s', async (words, health, reason) => {
        await connect('one');
        await (
          await custodian.listen(v.owner)
        )(`codex ended with exit code 1.\nfirst\n${words}\nlast`);
        const found = { health, healthReason: expect.stringContaining(reason) as string };
        expect(await summary()).toMatchObject(found);
        // Its CLI answers from its files.
        expect(await custodian.check(v.owner)).toMatchObject(found);
        await (
          await custodian.listen(v.owner)
        )(null);
        expect(await summary()).toMatchObject({ health: 'valid' });
      });

      test.each([
        '{"detail":"The model is not available for this account."}',
        'You’ve hit your usage limit. Upgrade to Pro',
        'Quota exceeded. Check your plan and billing details.',
      ])('is nothing where it failed for another reason: %s', async (words) => {
        await connect('one');
        await (
          await custodian.listen(v.owner)
        )(words);
        expect(await summary()).toMatchObject({ health: 'valid' });
      });

      test('is nothing to a login that came while it ran', async () => {
        await connect('one');
        const ended = await custodian.listen(v.owner);
        await connect('two');
        await ended(`${renewal} was already used.`);
        expect(await summary()).toMatchObject({ health: 'valid' });
      });
    });
  });
}

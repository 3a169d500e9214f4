/** What a guest says of itself reaches rows: none of it may be what a database refuses, on every database. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createBackground } from '@airlock/contract/background';
import { AppError } from '@airlock/contract/errors';
import { CheckResult, GuestCredentials, LoginStatus } from '@airlock/contract/guest';
import { readSettings } from '@airlock/contract/settings';
import { findingOf, proofError } from '../credential/health.js';
import { createAudit, system } from '../audit/audit.js';
import { addUser, databases, silentLog, type TestStore } from '../store/testing.js';
import { bundleOf, testVault } from '../vault/testing.js';
import { newVaultKey } from '../vault/key.js';
import { createKeyRing } from '../vault/ring.js';
import type { Drive } from './driven.js';
import { prepareCli } from './hand-over.js';
import { createSessionRows, type SessionRows } from './rows.js';

const settings = readSettings({ AIRLOCK_HOME: '/nowhere' });
/** NUL, halves of a character, control characters, and more of them than a row is to hold. */
const words = `\u0000\ud800\u001b[31m\u009b\udc00${'x'.repeat(200_000)}`;
const error = { code: 'internal', message: words, hint: words, details: { [words]: words, deep: [[[[[words]]]]] } };
const login = {
  ...{ provider: 'codex', state: 'failed', method: 'browser', pageHost: words, deviceCode: null, takesCode: false },
  ...{ exitCode: 1, lastOutput: words },
};

for (const { name, open, skip } of databases) {
  describe.skipIf(skip !== '')(`words of a guest in ${name} ${skip}`, () => {
    let server: TestStore;
    let rows: SessionRows;
    let id: string;
    beforeAll(async () => {
      server = await open();
    }, 120_000);
    afterAll(() => server.close(), 30_000);
    beforeEach(async () => {
      await server.empty();
      await addUser(server.store.db, 'usr_ada');
      rows = createSessionRows(server.store.db, createAudit(server.store), { ...settings, bootBoundMs: 480_000 });
      ({ id } = await rows.insert('usr_ada', 'codex', system));
    });

    test('are stored as the notice and the error of a session', async () => {
      const received = AppError.fromAnswer(JSON.stringify({ error }));
      const told = await rows.apply(id, 'progress', { patch: { notice: received.toBody() } });
      expect(told?.notice).toEqual(received.toBody());
      const { lastOutput } = LoginStatus.parse(login);
      const failed = new AppError('login_failed', `It ended: ${words}`, { details: { lastOutput } });
      const ended = await rows.apply(id, 'fail', { patch: { error: failed.toBody() } });
      expect(ended?.error?.message).toContain('It ended: ');
      expect(JSON.stringify(ended).length).toBeLessThan(64 * 1024);
    });

    test('are stored as what is known of a credential', async () => {
      const vault = testVault(
        server.store,
        createKeyRing([newVaultKey()], async () => undefined),
      );
      const owner = { userId: 'usr_ada', provider: 'codex' } as const;
      await vault.stage({ ...owner, sessionId: id }, bundleOf('a-token'));
      const output = words;
      const proof = CheckResult.parse({ name: 'proof_codex', ok: false, exitCode: 1, output, durationMs: 1 });
      await vault.note(owner, {
        ...findingOf(proof, null, Date.now()),
        error: proofError({ name: 'Codex', login: null }, 'the API key', proof, '').toBody(),
      });
      const [held] = await vault.custody('usr_ada');
      expect(held?.error?.details).toEqual({ output: proof.output });
      const entry = { provider: 'codex', complete: true, fingerprint: '\u0000', generation: 1 };
      expect(GuestCredentials.safeParse({ credentials: [entry] }).success).toBe(false);
    });
  });
}

test('progress that a database does not take is logged, and ends neither session nor controller', async () => {
  const refused = new Error('Failed query');
  const told: unknown[] = [];
  const apply = async (_id: string, _event: string, { steps }: { steps?: { detail?: unknown } }): Promise<unknown> => {
    if (steps?.detail) throw refused;
    return {};
  };
  const background = createBackground({ error: ({ err }, what) => told.push([what, err]) });
  const vms = {
    ensureCli: async (_user: string, _session: string, onProgress: (text: string) => void) => {
      onProgress('starting');
      return { id: 'vm_1' };
    },
  };
  const { signal } = new AbortController();
  const drive = { id: 'ses_1', signal, rows: { apply }, vms, background, log: silentLog } as unknown as Drive;
  expect(await prepareCli(drive, 'usr_ada')).toEqual({ id: 'vm_1' });
  await background.settled();
  expect(told).toEqual([['progress of a session could not be noted', refused]]);
});

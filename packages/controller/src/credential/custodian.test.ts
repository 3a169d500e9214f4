/** Who holds the live copy, through deliveries, refreshes, stops, crashes and removals. The agent is played by its protocol. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { pino } from 'pino';
import { newId } from '@airlock/contract/ids';
import { databases, silentLog, type TestStore } from '../store/testing.js';
import { bundleOf, createTestVault, tokenOf, type TestVault } from '../vault/testing.js';
import { createChecks } from './check.js';
import { createCustodian } from './create.js';
import type { Custodian } from './custodian.js';
import { createCredentialGuard, type CredentialGuard } from './guard.js';
import { playVms, type PlayedVms } from './testing.js';

const settings = {
  AIRLOCK_CREDENTIAL_POLL_S: 3600,
  AIRLOCK_HEALTH_INTERVAL_S: 3600,
  AIRLOCK_HEALTH_MAX_AGE_S: 604_800,
};
const never = new AbortController().signal;
const apiKey = `sk-canary${'k'.repeat(24)}`;

for (const { name, open, skip } of databases) {
  describe.skipIf(skip !== '')(`${name} ${skip}`, { timeout: 60_000 }, () => {
    let store: TestStore;
    let v: TestVault;
    let played: PlayedVms;
    let custodian: Custodian;
    let guard: CredentialGuard;
    let logged = '';
    const log = pino({ level: 'info' }, { write: (line: string) => void (logged += line) });
    beforeAll(async () => {
      store = await open();
    }, 120_000);
    afterAll(() => store.close(), 30_000);
    beforeEach(async () => {
      await store.empty();
      logged = '';
      v = await createTestVault(store);
      guard = createCredentialGuard({ vault: v.vault, log });
      played = playVms(store, v.vmId, guard);
      restart();
    });
    afterEach(() => custodian.close());

    /** As after a crash: nothing is remembered but the rows. */
    function restart(): void {
      custodian = createCustodian({ vault: v.vault, vms: played.vms, guard, settings, log });
    }

    async function stage(token: string): Promise<{ userId: string; provider: 'codex'; lineage: number }> {
      const { userId } = v.owner;
      const { lineage } = await v.vault.stage({ ...v.owner, sessionId: newId('ses') }, bundleOf(token));
      return { userId, provider: 'codex', lineage };
    }
    /** The whole hand-over of a sign-in. */
    async function connect(token: string): Promise<number> {
      const staged = await stage(token);
      await custodian.deliver(v.vmId, staged, never);
      await v.vault.commit(staged.userId, 'codex', staged.lineage);
      return staged.lineage;
    }
    const refresh = (token: string): void => void (played.guest.bundle = bundleOf(token));
    const inVault = async (): Promise<string | undefined> =>
      tokenOf((await v.vault.active(v.owner.userId, 'codex'))?.bundle);
    const inVm = (): string | undefined => tokenOf(played.guest.bundle ?? undefined);
    const results = async (): Promise<string[]> => (await custodian.sync(v.vmId)).map(({ result }) => result);
    const summary = async () => (await custodian.list(v.owner.userId))[0];

    test('a refresh in the CLI VM is stored once, and costs one look without content when nothing has changed', async () => {
      await connect('one');
      refresh('two');
      expect(await results()).toEqual(['stored']);
      expect(await inVault()).toBe('two');
      played.guest.calls = [];
      expect(await results()).toEqual(['unchanged']);
      expect(played.guest.calls).toEqual(['GET /credentials']);
      expect(await summary()).toMatchObject({ generation: 2, state: 'active', copy: 'in_use', holderVmId: v.vmId });
    });

    test('a refresh between the look and the taking is not missed', async () => {
      await connect('one');
      refresh('two');
      played.guest.meanwhile = (call) => {
        if (call === 'GET /credentials/codex') refresh('three');
      };
      expect(await results()).toEqual(['stored']);
      played.guest.meanwhile = null;
      await custodian.sync(v.vmId);
      expect(await inVault()).toBe('three');
    });

    test('many looks at once store a refresh once', async () => {
      await connect('one');
      refresh('two');
      const all = await Promise.all(Array.from({ length: 8 }, () => results()));
      expect(all.flat().filter((result) => result === 'stored')).toHaveLength(1);
      expect(await summary()).toMatchObject({ generation: 2 });
    });

    test('before it stops, the CLI VM is looked into: the vault then holds the newest', async () => {
      await connect('one');
      refresh('two');
      await played.stop();
      expect(await inVault()).toBe('two');
      expect(await summary()).toMatchObject({ copy: 'newest' });
    });

    test('one that ended without a last look leaves the copy unconfirmed; its next start tells before anything else', async () => {
      await connect('one');
      refresh('two');
      expect(await custodian.unconfirmed()).toBe(0);
      await played.cutPower();
      restart();
      expect(await custodian.unconfirmed()).toBe(1);
      expect(await summary()).toMatchObject({ copy: 'unconfirmed', generation: 1 });
      played.guest.calls = [];
      await played.start();
      expect(played.guest.calls).toEqual(['GET /credentials', 'GET /credentials/codex']);
      expect(await inVault()).toBe('two');
      await played.stop();
      expect(await summary()).toMatchObject({ copy: 'newest', generation: 2 });
    });

    test('one that cannot be reached at its end is unconfirmed too', async () => {
      await connect('one');
      played.guest.fails = /./;
      await played.stop();
      expect(await summary()).toMatchObject({ copy: 'unconfirmed' });
    });

    test('what is no credential in the CLI VM is not stored, and the person is told why', async () => {
      await connect('one');
      played.guest.bundle = {
        ...bundleOf('two'),
        files: [{ path: '.codex/auth.json', mode: 0o777, contentBase64: 'e30=' }],
      };
      for (const _look of [1, 2]) expect(await results()).toEqual(['conflict']);
      expect(await inVault()).toBe('one');
      expect(await summary()).toMatchObject({ generation: 1, error: { code: 'credential_invalid' } });
      refresh('three');
      expect(await results()).toEqual(['stored']);
      expect(await inVault()).toBe('three');
    });

    test('a file of the CLI that its agent cannot read is named to the person; the login is not called gone', async () => {
      await connect('one');
      played.guest.unreadable = '.claude.json has 5.00 MiB (5242880 bytes); at most 4.00 MiB are read.';
      await custodian.sync(v.vmId);
      const error = { code: 'credential_invalid', message: played.guest.unreadable };
      const [told] = await custodian.list(v.owner.userId);
      expect(told).toMatchObject({ state: 'active', error });
      expect(told?.health).not.toBe('needs_login');
      expect(tokenOf(await v.vault.read((await v.vault.list(v.owner.userId))[0] as never))).toBe('one');
      // Once it can be read again, nothing is told any more.
      played.guest.unreadable = '';
      await custodian.sync(v.vmId);
      expect(await custodian.list(v.owner.userId)).toMatchObject([{ error: null }]);
    });

    test('a new sign-in takes the older one into the vault before it is overwritten', async () => {
      await connect('old');
      refresh('old_refreshed');
      const staged = await stage('new');
      await custodian.deliver(v.vmId, staged, never);
      expect(inVm()).toBe('new');
      expect(await inVault()).toBe('old_refreshed');
    });

    test('a sign-in that is given up gives the CLI VM its former credential back, refreshed as it was', async () => {
      await connect('old');
      refresh('old_refreshed');
      const sessionId = newId('ses');
      const { lineage } = await v.vault.stage({ ...v.owner, sessionId }, bundleOf('new'));
      await custodian.deliver(v.vmId, { ...v.owner, lineage }, never);
      await v.vault.discard(sessionId);
      expect(await results()).toEqual(['delivered']);
      expect(inVm()).toBe('old_refreshed');
      expect(await results()).toEqual(['unchanged']);
    });

    test('a first sign-in that is given up leaves nothing in the CLI VM', async () => {
      const sessionId = newId('ses');
      const { lineage } = await v.vault.stage({ ...v.owner, sessionId }, bundleOf('new'));
      await custodian.deliver(v.vmId, { ...v.owner, lineage }, never);
      await v.vault.discard(sessionId);
      expect(await results()).toEqual(['removed']);
      expect(inVm()).toBeUndefined();
      expect(await custodian.list(v.owner.userId)).toEqual([]);
    });

    test.each([
      ['before it began', (call: string) => call.startsWith('PUT'), false],
      ['before its number was written', () => false, true],
    ])('a delivery cut short %s is told from a finished one', async (_what, fails, touched) => {
      await connect('old');
      const staged = await stage('new');
      played.guest.fails = fails('PUT') ? /^PUT/ : null;
      played.guest.meanwhile = touched
        ? (call) => {
            if (!call.startsWith('PUT')) return;
            Object.assign(played.guest, { bundle: bundleOf('half'), generation: null });
            throw new Error('the controller was killed');
          }
        : null;
      await expect(custodian.deliver(v.vmId, staged, never)).rejects.toThrow(touched ? 'was killed' : 'did not answer');
      Object.assign(played.guest, { fails: null, meanwhile: null });
      restart();
      if (!touched) refresh('old_refreshed');
      await custodian.sync(v.vmId);
      // Untouched files are still the old login, and what its CLI has made of it counts.
      expect(await inVault()).toBe(touched ? 'old' : 'old_refreshed');
      await custodian.deliver(v.vmId, staged, never);
      await v.vault.commit(v.owner.userId, 'codex', staged.lineage);
      expect([inVm(), await inVault()]).toEqual(['new', 'new']);
    });

    test('a delivery that arrived, but whose arrival nobody noted, is not repeated over a refresh', async () => {
      const generation = await connect('one');
      await v.vault.note(v.owner, { delivering: generation, deliveredGeneration: null });
      refresh('two');
      restart();
      expect(await results()).toEqual(['stored']);
      expect([inVm(), await inVault()]).toEqual(['two', 'two']);
    });

    test('a stale CLI VM is refused and told, and gets the newest', async () => {
      await connect('one');
      await v.vault.note(v.owner, { deliveredGeneration: 99 });
      refresh('from an older one');
      expect(await results()).toEqual(['delivered']);
      expect([inVm(), await inVault()]).toEqual(['one', 'one']);
      expect(logged).toContain('vault_conflict');
    });

    test('a new CLI VM is given what the vault holds', async () => {
      await connect('one');
      await v.vault.note(v.owner, { holderVmId: newId('vm') });
      Object.assign(played.guest, { bundle: null, generation: null });
      expect(await results()).toEqual(['delivered']);
      expect(inVm()).toBe('one');
    });

    test('a login that is gone from the CLI VM needs a sign-in; the vault keeps its copy', async () => {
      await connect('one');
      played.guest.bundle = null;
      expect(await results()).toEqual(['missing']);
      expect(await summary()).toMatchObject({ health: 'needs_login', state: 'active' });
    });

    test('after the hand-over the browser VM has no login; if it cannot be taken out, it is destroyed', async () => {
      const browser = newId('vm');
      await custodian.retire(browser, 'codex');
      expect(played.guest.calls).toEqual(['DELETE /credentials/codex']);
      expect(played.destroyed).toEqual([]);
      played.guest.fails = /^DELETE/;
      await custodian.retire(browser, 'codex');
      expect(played.destroyed).toEqual([browser]);
    });

    describe('removal', () => {
      test('takes it out of a running CLI VM at once', async () => {
        await connect('one');
        expect(await custodian.remove(v.owner)).toEqual({ cliVm: 'removed' });
        expect(inVm()).toBeUndefined();
        expect(await custodian.list(v.owner.userId)).toEqual([]);
        await expect(custodian.remove(v.owner)).rejects.toMatchObject({ code: 'not_found' });
      });

      test('waits for the next start of a stopped one, through restarts, and comes first there', async () => {
        await connect('one');
        await played.cutPower();
        refresh('a late refresh');
        expect(await custodian.remove(v.owner)).toEqual({ cliVm: 'pending' });
        expect(await summary()).toMatchObject({ state: 'removing', holderVmId: v.vmId });
        restart();
        played.guest.calls = [];
        await played.start();
        expect(played.guest.calls).toEqual(['GET /credentials', 'DELETE /credentials/codex']);
        expect([inVm(), await inVault()]).toEqual([undefined, undefined]);
        expect(await custodian.list(v.owner.userId)).toEqual([]);
      });

      test('connecting again keeps the CLI VM and numbers above the removed ones', async () => {
        await connect('one');
        await custodian.remove(v.owner);
        await connect('two');
        expect(await summary()).toMatchObject({ generation: 3, holderVmId: v.vmId, state: 'active' });
        expect(played.destroyed).toEqual([]);
      });
    });

    describe('checks', () => {
      test.each([
        ['accepts it', { ok: true, exitCode: 0, output: 'Logged in' }, 'valid'],
        ['does not know it', { ok: false, exitCode: 1, output: 'Not logged in' }, 'needs_login'],
        ['says it was revoked', { ok: false, exitCode: 1, output: 'your refresh token was revoked.' }, 'revoked'],
        ['does not trust', { ok: false, exitCode: 41, output: 'reason: self-signed certificate in chain' }, 'unknown'],
        ['does not end', { ok: false, exitCode: null, output: '' }, 'unknown'],
      ])('the CLI %s', async (_what, proof, health) => {
        await connect('one');
        played.guest.proof = proof;
        const found = await custodian.check(v.owner);
        expect(found).toMatchObject({ health, provider: 'codex' });
        expect(Date.now() - Date.parse(found.lastCheckedAt ?? '')).toBeLessThan(30_000);
        expect(found.healthReason).not.toContain('token was revoked');
      });

      test('starts a stopped CLI VM, and stores what asking made the CLI refresh', async () => {
        await connect('one');
        await played.stop();
        played.guest.meanwhile = (call) => {
          if (call.startsWith('POST /checks')) refresh('two');
        };
        expect(await custodian.check(v.owner)).toMatchObject({ health: 'valid', copy: 'in_use' });
        expect(await inVault()).toBe('two');
      });

      test('one that the end of the VM broke off says nothing of the credential', async () => {
        await connect('one');
        await custodian.check(v.owner);
        played.guest.meanwhile = async (call) => {
          if (call !== 'POST /checks/proof_codex') return;
          played.guest.proof = { ok: false, exitCode: 1, output: 'Not logged in' };
          await played.cutPower();
        };
        await expect(custodian.check(v.owner)).rejects.toMatchObject({
          code: 'vm_not_running',
          message: 'It is stopped.',
        });
        expect(await summary()).toMatchObject({ health: 'valid' });
      });

      test('there is nothing to check without a credential', async () => {
        await expect(custodian.check(v.owner)).rejects.toMatchObject({ code: 'not_found' });
      });

      test('are made on a schedule, in a running CLI VM only unless one is long overdue', async () => {
        await connect('one');
        const ago = (s: number) =>
          v.vault.note(v.owner, { checkedAt: new Date(Date.now() - s * 1000), health: 'unknown' });
        const asked = () => played.guest.calls.filter((call) => call.startsWith('POST /checks')).length;
        const round = async (): Promise<void> => {
          played.guest.calls = [];
          const { vault } = v;
          const { signal } = new AbortController();
          const deps = { vault, vms: played.vms, settings, log: silentLog, sync: custodian.sync, signal };
          const checks = createChecks(deps);
          await checks.due();
          await checks.settled();
        };
        await ago(60);
        await round();
        expect(asked()).toBe(0);
        await ago(3700);
        await round();
        expect([asked(), (await summary())?.health]).toEqual([1, 'valid']);
        await played.cutPower();
        await ago(3700);
        await round();
        expect(asked()).toBe(0);
        await ago(604_801);
        await round();
        expect([asked(), (await summary())?.health]).toEqual([1, 'valid']);
      });
    });

    describe('API key', () => {
      const state = async () => (await summary())?.state ?? 'none';

      test('is delivered, proved by the CLI, and only then active', async () => {
        await custodian.setApiKey(v.owner, apiKey);
        await expect.poll(state, { timeout: 10_000 }).toBe('active');
        expect(await summary()).toMatchObject({ method: 'api_key', health: 'valid', error: null });
        expect(Buffer.from(played.guest.bundle?.files[0]?.contentBase64 ?? '', 'base64').toString()).toContain(apiKey);
        expect(logged).not.toContain(apiKey);
      });

      test('one that the CLI does not accept is told, and the former login comes back', async () => {
        await connect('one');
        played.guest.proof = { ok: false, exitCode: 1, output: 'no' };
        await custodian.setApiKey(v.owner, apiKey);
        await expect.poll(async () => (await summary())?.error?.code, { timeout: 10_000 }).toBe('proof_failed');
        await custodian.sync(v.vmId);
        expect([inVm(), await inVault()]).toEqual(['one', 'one']);
        expect(await summary()).toMatchObject({ method: 'login', state: 'active' });
      });

      test('one that a CLI could not try for want of an authority says so, and what to do', async () => {
        played.guest.proof = { ok: false, exitCode: 1, output: 'reason: unable to get local issuer certificate' };
        await custodian.setApiKey(v.owner, apiKey);
        await expect
          .poll(async () => (await summary())?.error, { timeout: 10_000 })
          .toMatchObject({
            code: 'proof_failed',
            message: expect.stringContaining('does not trust the certificate') as string,
            hint: expect.stringContaining('AIRLOCK_EXTRA_CA') as string,
          });
      });

      test('one whose proof the end of the VM broke off is not called unaccepted', async () => {
        played.guest.meanwhile = async (call) => {
          if (call !== 'POST /checks/proof_codex') return;
          played.guest.proof = { ok: false, exitCode: null, output: '' };
          await played.cutPower();
        };
        await custodian.setApiKey(v.owner, apiKey);
        await expect.poll(async () => (await summary())?.error?.code, { timeout: 10_000 }).toBe('vm_not_running');
      });

      test('an attempt that a crash cut short is taken up again', async () => {
        await played.cutPower();
        await v.vault.stage({ ...v.owner, sessionId: null, method: 'api_key' }, bundleOf('key'));
        restart();
        await custodian.resume();
        await expect.poll(state, { timeout: 10_000 }).toBe('active');
        expect(await summary()).toMatchObject({ method: 'api_key' });
      });

      test.each(['', 'hunter2', `${apiKey} `, `x${apiKey}`])('%j is no key, and is not repeated', async (text) => {
        const refused = await custodian.setApiKey(v.owner, text).then(
          () => undefined,
          (error: unknown) => error as Error,
        );
        expect(refused).toMatchObject({ code: 'invalid_request' });
        if (text !== '') expect(refused?.message).not.toContain(text);
      });
    });
  });
}

/** Sign-ins on a real database, with VMs whose agents are scripted: every way through. */
import { createAudit, system } from '../audit/audit.js';
import { describe, expect, test, vi } from 'vitest';
import { AppError } from '@airlock/contract/errors';
import type { Session } from '@airlock/contract/session';
import { readSettings } from '@airlock/contract/settings';
import { gate } from '../vm/testing.js';
import { createSessionRows } from './rows.js';
import { authSessions } from './table.js';
import { useDesk } from './testing/desk.js';
import { bundleOf } from '../vault/testing.js';
import { idleLogin } from './testing/host.js';

const desk = useDesk();

describe('the way through', () => {
  test('ends with a proved credential and a scheduled end of the browser VM', async () => {
    const session = await desk.signIn('first');
    expect(session).toMatchObject({ error: null, notice: null, login: null, deadlineAt: null, expiresAt: null });
    expect(session.steps.map(({ status }) => status)).toEqual(session.steps.map(() => 'done'));
    expect(await desk.storedToken()).toBe('first');
    expect(desk.cliToken()).toBe('first');
    expect(desk.host.vm('browser').row.destroyAt?.toISOString()).toBe(session.destroyAt);
  });

  test('goes by device code, which the session shows', async () => {
    const id = await desk.startSignIn();
    const restarted = await desk.sessions.restartLogin(desk.ada, id, 'device_code');
    expect(restarted).toMatchObject({ status: 'ready', expiresAt: null, login: { method: 'device_code' } });
    await vi.waitFor(() =>
      expect(desk.host.vm('browser').login).toMatchObject({ method: 'device_code', state: 'starting' }),
    );
    const deviceCode = { url: 'https://auth.openai.com/codex/device', code: 'ABCD-EFGHI' };
    desk.host.vm('browser').login = { ...desk.host.vm('browser').login, state: 'browser_opened', deviceCode };
    expect((await desk.until(id, 'awaiting_user_auth')).login).toEqual({
      method: 'device_code',
      deviceCode,
      takesCode: false,
    });
    desk.finishLogin('by_code');
    await desk.until(id, 'completed');
    expect(await desk.storedToken()).toBe('by_code');
  });

  test('an address for a device code that is no page of the provider is never shown', async () => {
    const id = await desk.startSignIn();
    await desk.sessions.restartLogin(desk.ada, id, 'device_code');
    await vi.waitFor(() => expect(desk.host.vm('browser').login).toMatchObject({ state: 'starting' }));
    const deviceCode = { url: 'https://auth.openai.com.evil.example/codex/device', code: 'ABCD-EFGHI' };
    desk.host.vm('browser').login = { ...desk.host.vm('browser').login, state: 'browser_opened', deviceCode };
    const { login, error } = await desk.until(id, 'failed');
    expect(login?.deviceCode ?? null).toBeNull();
    expect(error).toMatchObject({
      code: 'login_failed',
      message: expect.stringContaining('no page of OpenAI') as string,
    });
    expect(JSON.stringify(error)).not.toContain('evil');
  });

  test('a pasted code goes to the terminal while the CLI asks for one, and is kept nowhere', async () => {
    const id = await desk.startSignIn();
    await expect(desk.sessions.typeCode(desk.ada, id, 'secret-code')).rejects.toMatchObject({
      code: 'session_not_waiting',
    });
    desk.host.vm('browser').login = { ...desk.host.vm('browser').login, takesCode: true };
    await desk.until(id, 'awaiting_user_auth', ({ login }) => login?.takesCode === true);
    await desk.sessions.typeCode(desk.ada, id, 'secret-code');
    expect(desk.host.vm('browser').calls.find(({ call }) => call === 'POST /login/input')?.body).toEqual({
      code: 'secret-code',
    });
    expect(JSON.stringify(await desk.store.store.db.select().from(authSessions))).not.toContain('secret-code');
  });

  test('is not open to somebody else', async () => {
    const id = await desk.startSignIn();
    for (const work of [
      desk.sessions.extend('usr_other', id),
      desk.sessions.restartLogin('usr_other', id, 'browser'),
      desk.sessions.typeCode('usr_other', id, 'x'),
    ]) {
      await expect(work).rejects.toMatchObject({ code: 'not_found' });
    }
  });
});

describe('a login that fails', () => {
  test('leads back to the person, who is told why and tries again in the same VM', async () => {
    const id = await desk.startSignIn();
    const vmId = desk.host.vm('browser').row.id;
    desk.host.vm('browser').login = {
      ...desk.host.vm('browser').login,
      state: 'failed',
      exitCode: 1,
      lastOutput: 'denied',
    };
    const told = await desk.until(id, 'awaiting_user_auth', ({ notice }) => notice !== null);
    expect(told).toMatchObject({ login: null, error: null, desktopReady: true, notice: { code: 'login_failed' } });
    expect(told.notice?.details).toEqual({ lastOutput: 'denied' });
    expect(told.steps.find(({ name }) => name === 'person')?.status).toBe('failed');
    await desk.sessions.restartLogin(desk.ada, id, 'browser');
    await vi.waitFor(() => expect(desk.host.vm('browser').login.state).toBe('starting'));
    desk.openPage();
    expect(await desk.until(id, 'awaiting_user_auth')).toMatchObject({
      browserVmId: vmId,
      notice: { code: 'login_failed' },
    });
    desk.finishLogin('second_try');
    expect(await desk.until(id, 'completed')).toMatchObject({ notice: null, error: null });
  });

  test('before its page opened leads there too', async () => {
    const { id } = await desk.sessions.start(desk.ada, 'codex');
    await vi.waitFor(() => expect(desk.host.vm('browser').login.state).toBe('starting'));
    desk.host.vm('browser').login = { ...desk.host.vm('browser').login, state: 'failed', exitCode: 2 };
    await desk.until(id, 'awaiting_user_auth', ({ notice }) => notice?.code === 'login_failed');
  });

  test('is not repeated by a restart of the controller', async () => {
    const id = await desk.startSignIn();
    desk.host.vm('browser').login = { ...desk.host.vm('browser').login, state: 'failed', exitCode: 1 };
    await desk.until(id, 'awaiting_user_auth', ({ notice }) => notice !== null);
    const before = desk.host.vm('browser').calls.length;
    await desk.restart();
    await desk.sessions.get(desk.ada, id);
    expect(
      desk.host
        .vm('browser')
        .calls.slice(before)
        .map(({ call }) => call),
    ).not.toContain('POST /login');
  });
});

describe('a CLI VM', () => {
  test('that ended while the person signed in is started again for the hand-over', async () => {
    const id = await desk.startSignIn();
    const done = (session: Session) => session.steps.find(({ name }) => name === 'cli_vm')?.status === 'done';
    await desk.until(id, 'awaiting_user_auth', done);
    desk.host.vm('cli').row = { ...desk.host.vm('cli').row, state: 'stopped' };
    desk.finishLogin('token');
    expect(await desk.until(id, 'completed')).toMatchObject({ notice: null, cliVmId: desk.host.vm('cli').row.id });
    expect(desk.cliToken()).toBe('token');
  });

  test.each([
    ['PUT /credentials/codex', 'breaks the call off', true],
    ['POST /checks/proof_codex', 'breaks the call off', true],
    ['POST /checks/proof_codex', 'kills the CLI that is asked', false],
  ] as const)('that is stopped at %s, which %s, is started again: the login is not lost', async (at, _how, breaks) => {
    const id = await desk.startSignIn();
    await vi.waitFor(() => desk.host.vm('cli'));
    const cli = desk.host.vm('cli');
    let stops = 0;
    cli.onCall = (call) => {
      if (call !== at || stops > 0) return;
      stops += 1;
      cli.row = { ...cli.row, state: 'stopping' };
      if (breaks) throw new AppError('runner_failed', 'The connection was closed.');
      cli.accepts = () => {
        cli.accepts = () => true;
        return false;
      };
    };
    desk.finishLogin('token');
    expect(await desk.until(id, 'completed')).toMatchObject({ notice: null, error: null, cliVmId: cli.row.id });
    expect([stops, desk.cliToken(), await desk.storedToken()]).toEqual([1, 'token', 'token']);
  });

  test('that could not be made ready while the person signed in is tried once more', async () => {
    desk.host.failCli = new AppError('vm_lost', 'The CLI VM ended.');
    const id = await desk.startSignIn();
    await vi.waitFor(() => expect(desk.host.failCli).toBeUndefined());
    desk.finishLogin('token');
    expect(await desk.until(id, 'completed')).toMatchObject({ notice: null, error: null });
  });
});

describe('a hand-over that fails', () => {
  test('the first time leaves no credential in the CLI VM, keeps the desktop and says why', async () => {
    const id = await desk.startSignIn();
    await vi.waitFor(() => desk.host.vm('cli'));
    desk.host.vm('cli').accepts = () => false;
    desk.finishLogin('bad');
    const told = await desk.until(id, 'awaiting_user_auth', ({ notice }) => notice !== null);
    expect(told).toMatchObject({ desktopReady: true, error: null, notice: { code: 'proof_failed' }, login: null });
    expect(told.expiresAt).not.toBeNull();
    expect([desk.cliToken(), await desk.vault.list(desk.ada)]).toEqual([undefined, []]);
    desk.host.vm('cli').accepts = () => true;
    await desk.sessions.restartLogin(desk.ada, id, 'browser');
    await vi.waitFor(() => expect(desk.host.vm('browser').login.state).toBe('starting'));
    expect(desk.host.vm('browser').credential).toBeUndefined();
    desk.finishLogin('good');
    await desk.until(id, 'completed');
    expect([desk.cliToken(), await desk.storedToken()]).toEqual(['good', 'good']);
  });

  test('on a re-connect puts the former credential back, and the vault keeps it', async () => {
    await desk.signIn('valid');
    const cliVmId = desk.host.vm('cli').row.id;
    const id = await desk.startSignIn();
    desk.host.vm('cli').accepts = (credential) => JSON.stringify(credential) === JSON.stringify(bundleOf('valid'));
    desk.finishLogin('bad');
    await desk.until(id, 'awaiting_user_auth', ({ notice }) => notice?.code === 'proof_failed');
    expect([desk.cliToken(), await desk.storedToken()]).toEqual(['valid', 'valid']);
    await desk.sessions.cancel(desk.ada, id, system);
    expect(desk.host.vm('cli').row).toMatchObject({ id: cliVmId, state: 'running' });
    expect(await desk.vault.list(desk.ada)).toMatchObject([{ state: 'active', generation: 1 }]);
  });

  test('that is cancelled in its middle puts the former credential back', async () => {
    await desk.signIn('valid');
    const id = await desk.startSignIn();
    const proof = { begun: gate(), cancelled: gate() };
    desk.host.vm('cli').onCall = async (call) => {
      if (call !== 'POST /checks/proof_codex') return;
      proof.begun.open();
      await proof.cancelled.opened;
      throw new AppError('aborted', 'The call was cancelled.');
    };
    desk.finishLogin('half_way');
    await proof.begun.opened;
    expect(desk.cliToken()).toBe('half_way');
    const cancelling = desk.sessions.cancel(desk.ada, id, system);
    await desk.until(id, 'cancelled');
    proof.cancelled.open();
    await cancelling;
    await vi.waitFor(() => expect(desk.cliToken()).toBe('valid'), { timeout: 5000 });
    expect(await desk.storedToken()).toBe('valid');
  });

  test('with the browser VM gone ends the session, and puts the former credential back', async () => {
    await desk.signIn('valid');
    const id = await desk.startSignIn();
    desk.host.vm('cli').onCall = (call) => {
      const { row } = desk.host.vm('browser');
      if (call === 'POST /checks/proof_codex') desk.host.vm('browser').row = { ...row, state: 'failed' };
    };
    desk.host.vm('cli').accepts = (credential) => JSON.stringify(credential) === JSON.stringify(bundleOf('valid'));
    desk.finishLogin('bad');
    expect((await desk.until(id, 'failed')).error?.code).toBe('proof_failed');
    await vi.waitFor(() => expect(desk.cliToken()).toBe('valid'), { timeout: 5000 });
  });
});

describe('clocks', () => {
  const expire = (id: string) =>
    desk.store.store.db.execute(
      `update airlock.auth_sessions set deadline_at = now() - interval '1 second' where id = '${id}'`,
    );

  test('in each state has an end of its own', async () => {
    desk.host.holdBoot = true;
    const { id } = await desk.sessions.start(desk.ada, 'codex');
    await desk.until(id, 'vm_created', ({ deadlineAt }) => deadlineAt !== null);
    await expire(id);
    expect(await desk.until(id, 'failed')).toMatchObject({ error: { code: 'vm_boot_timeout' }, deadlineAt: null });
    desk.host.holdBoot = false;

    const { id: second } = await desk.sessions.start(desk.ada, 'codex');
    await desk.until(second, 'ready');
    await expire(second);
    expect((await desk.until(second, 'failed')).error?.code).toBe('login_page_timeout');

    const third = await desk.startSignIn();
    await expire(third);
    expect((await desk.until(third, 'timeout')).error?.code).toBe('sign_in_timeout');
    await vi.waitFor(() => expect(desk.host.vm('browser').row.state).toBe('destroyed'));

    const fourth = await desk.startSignIn();
    const [received, proved] = [gate(), gate()];
    desk.host.vm('browser').onCall = (call) => (call === 'GET /credentials/codex' ? received.opened : undefined);
    desk.finishLogin('x');
    await desk.until(fourth, 'authenticating');
    await expire(fourth);
    expect((await desk.until(fourth, 'failed')).error?.code).toBe('credential_timeout');
    received.open();

    const fifth = await desk.startSignIn();
    desk.host.vm('cli').onCall = (call) => (call.startsWith('POST /checks') ? proved.opened : undefined);
    desk.finishLogin('x');
    await desk.until(fifth, 'delivering');
    await expire(fifth);
    expect((await desk.until(fifth, 'failed')).error?.code).toBe('hand_over_timeout');
    proved.open();
  }, 40_000);

  test('a try that failed, and that nobody repeated, is the reason in the end', async () => {
    const id = await desk.startSignIn();
    desk.host.vm('browser').login = { ...desk.host.vm('browser').login, state: 'failed', exitCode: 1 };
    await desk.until(id, 'awaiting_user_auth', ({ notice }) => notice !== null);
    await expire(id);
    expect((await desk.until(id, 'failed')).error?.code).toBe('login_failed');
  });

  test('Extend gives another turn, up to a limit', async () => {
    const id = await desk.startSignIn();
    const before = Date.parse((await desk.sessions.get(desk.ada, id)).expiresAt ?? '');
    const { expiresAt, expiresAtMost } = await desk.sessions.extend(desk.ada, id);
    expect(Date.parse(expiresAt ?? '') - before).toBe(300_000);
    expect(Date.parse(expiresAtMost ?? '') - before).toBe(6 * 300_000);
    for (let i = 0; i < 5; i++) await desk.sessions.extend(desk.ada, id);
    await expect(desk.sessions.extend(desk.ada, id)).rejects.toMatchObject({ code: 'time_limit_reached' });
    await desk.sessions.cancel(desk.ada, id, system);
    await expect(desk.sessions.extend(desk.ada, id)).rejects.toMatchObject({ code: 'session_finished' });
  });

  test('using the desktop prolongs the person’s time, and is not written for every key', async () => {
    const id = await desk.startSignIn();
    await desk.store.store.db.execute(
      `update airlock.auth_sessions set deadline_at = now() + interval '60 seconds' where id = '${id}'`,
    );
    const done = (session: Session) => session.steps.find(({ name }) => name === 'cli_vm')?.status === 'done';
    const { revision, expiresAt: before } = await desk.until(id, 'awaiting_user_auth', done);
    for (let i = 0; i < 200; i++) desk.sessions.noteActivity(id);
    const active = await desk.until(id, 'awaiting_user_auth', ({ expiresAt }) => expiresAt !== before);
    expect(Date.parse(active.expiresAt ?? '') - Date.now()).toBeGreaterThan(290_000);
    expect(active.revision).toBe(revision + 1);
  });
});

describe('an agent that was killed', () => {
  test('and does not answer for a moment is waited for', async () => {
    const id = await desk.startSignIn();
    let refusals = 3;
    desk.host.vm('browser').onCall = () => {
      if (refusals-- > 0) throw new AppError('guest_unreachable', 'connection refused');
    };
    desk.finishLogin('token');
    expect(await desk.until(id, 'completed')).toMatchObject({ error: null, notice: null });
  });

  test('in the CLI VM is waited for, too, while that VM is made ready', async () => {
    await desk.signIn('first');
    let refusals = 5;
    desk.host.vm('cli').onCall = (call) => {
      if (call === 'GET /credentials' && refusals-- > 0) throw new AppError('guest_unreachable', 'connection refused');
    };
    const id = await desk.startSignIn();
    desk.finishLogin('second');
    expect(await desk.until(id, 'completed')).toMatchObject({ error: null, notice: null });
    expect(refusals).toBeLessThan(0);
  });

  test('in the middle of the login begins it again, and says so', async () => {
    const id = await desk.startSignIn();
    desk.host.vm('browser').login = { ...idleLogin };
    const told = await desk.until(id, 'ready');
    expect(told).toMatchObject({ notice: { code: 'login_repeated' }, login: { method: 'browser' } });
    await vi.waitFor(() => expect(desk.host.vm('browser').login.state).toBe('starting'));
    desk.finishLogin('token');
    await desk.until(id, 'completed');
  });

  test('after the CLI wrote its credential goes on with it', async () => {
    const id = await desk.startSignIn();
    desk.host.vm('browser').credential = bundleOf('token');
    desk.host.vm('browser').login = { ...idleLogin };
    await desk.until(id, 'completed');
    expect(await desk.storedToken()).toBe('token');
  });
});

test('a sign-in is noted with its row, as started by whoever did, or is not there', async () => {
  const { store } = desk.store;
  const audit = createAudit(store);
  const settings = readSettings({ AIRLOCK_HOME: '/nowhere' });
  const refusing = createSessionRows(
    store.db,
    { note: () => Promise.reject(new Error('no room')) },
    { ...settings, bootBoundMs: 480_000 },
  );
  await expect(refusing.insert(desk.ada, 'codex', system)).rejects.toThrow('no room');
  expect(await refusing.list(desk.ada)).toEqual([]);
  const actor = { actorId: desk.ada, actorName: 'ada', via: 'cookie' } as const;
  const { id } = await desk.sessions.start(desk.ada, 'codex', actor);
  await expect(desk.sessions.start(desk.ada, 'codex', actor)).rejects.toMatchObject({ code: 'session_busy' });
  const records = (await audit.list({ userId: desk.ada, limit: 50 })).filter(
    ({ action }) => action === 'session_started',
  );
  expect(records).toMatchObject([{ ...actor, subject: id, details: { provider: 'codex' } }]);
  await desk.sessions.cancel(desk.ada, id, system);
});

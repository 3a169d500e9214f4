/** Sign-ins that a person finishes in their own browser, on a real database, with VMs whose agents are scripted. */
import { describe, expect, test, vi } from 'vitest';
import { system } from '../audit/audit.js';
import { authSessions } from './table.js';
import { useDesk } from './testing/desk.js';

const desk = useDesk();
const ownPage = 'https://auth.openai.com/oauth/authorize?state=s';

describe('a sign-in', () => {
  test('goes by the browser of the person, who pastes the address at its end, which is kept nowhere', async () => {
    const id = await desk.startSignIn();
    const restarted = await desk.sessions.restartLogin(desk.ada, id, 'callback');
    expect(restarted).toMatchObject({ status: 'ready', login: { method: 'callback', takesCode: false } });
    await vi.waitFor(() => expect(desk.host.vm('browser').login).toMatchObject({ method: 'callback' }));
    const deviceCode = { url: `${ownPage}&redirect_uri=http%3A%2F%2Flocalhost%3A1455%2Fauth%2Fcallback`, code: null };
    const shown = { state: 'browser_opened', deviceCode, takesCode: true } as const;
    desk.host.vm('browser').login = { ...desk.host.vm('browser').login, ...shown };
    expect((await desk.until(id, 'awaiting_user_auth')).login).toEqual({
      ...{ method: 'callback', deviceCode, takesCode: true },
    });
    const code = 'http://localhost:1455/auth/callback?code=secret-code&state=s';
    await desk.sessions.typeCode(desk.ada, id, code);
    const { calls } = desk.host.vm('browser');
    expect(calls.find(({ call }) => call === 'POST /login/input')?.body).toEqual({ code });
    expect(JSON.stringify(await desk.store.store.db.select().from(authSessions))).not.toContain('secret-code');
    desk.finishLogin('by_callback');
    await desk.until(id, 'completed');
    expect(await desk.storedToken()).toBe('by_callback');
  });

  test.each([
    ['on the internet', '&redirect_uri=https%3A%2F%2Fevil.example%2Fcb'],
    ['nowhere', ''],
  ])('a page of the provider that leads back %s is never shown', async (_where, more) => {
    const id = await desk.startSignIn();
    await desk.sessions.restartLogin(desk.ada, id, 'callback');
    await vi.waitFor(() => expect(desk.host.vm('browser').login).toMatchObject({ state: 'starting' }));
    const deviceCode = { url: `${ownPage}${more}`, code: null };
    // Of whatever method it says it is.
    const said = { method: 'device_code', state: 'browser_opened', deviceCode, takesCode: true } as const;
    desk.host.vm('browser').login = { ...desk.host.vm('browser').login, ...said };
    expect((await desk.until(id, 'failed')).error).toMatchObject({ code: 'login_failed' });
  });

  test('goes on as it was where the agent of the VM does not know the other way', async () => {
    const id = await desk.startSignIn();
    desk.host.isOld = true;
    const { status, login } = await desk.sessions.get(desk.ada, id);
    await expect(desk.sessions.restartLogin(desk.ada, id, 'callback')).rejects.toMatchObject({ code: 'image_too_old' });
    expect(await desk.sessions.get(desk.ada, id)).toMatchObject({ status, login });
    expect(desk.host.vm('browser').calls.map(({ call }) => call)).not.toContain('DELETE /login');
    await desk.sessions.restartLogin(desk.ada, id, 'device_code');
    await desk.sessions.cancel(desk.ada, id, system);
    await expect(desk.sessions.restartLogin(desk.ada, id, 'callback')).rejects.toMatchObject({
      code: 'session_finished',
    });
  });

  test('is not begun by a way that the CLI does not have', async () => {
    const { id } = await desk.sessions.start(desk.ada, 'gemini_cli');
    await expect(desk.sessions.restartLogin(desk.ada, id, 'callback')).rejects.toMatchObject({
      ...{ code: 'provider_unavailable', message: 'Gemini CLI cannot sign in by callback.' },
    });
  });
});

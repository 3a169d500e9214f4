/** Signing in: what a link does and does not do to whoever opens it, and what a stolen cookie is good for. */
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { describe, expect, test } from 'vitest';
import { pageHeader } from '@airlock/contract/login';
import { newId } from '@airlock/contract/ids';
import { useTestController, type Answer, type CallOptions, type Person } from './testing/controller.js';

const c = useTestController();

const codeOf = async (answer: Promise<Answer>): Promise<string> => {
  const { status, json } = await answer;
  return `${status} ${json.error?.code}`;
};
const tokenIn = (url: unknown): string => /\/dashboard\/login#token=([\w-]{43})$/.exec(String(url))?.[1] ?? '';
const linkOf = async ({ user }: Person): Promise<string> => (await c.users.createLoginToken(user.id)).token;
/** A page of this controller trades a link. */
const login = (body: object, options: CallOptions = {}) =>
  c.call('POST', '/api/login', { ...options, body, headers: { origin: c.origin, ...options.headers } });
const me = async (headers: Record<string, string>): Promise<unknown> =>
  ((await c.call('GET', '/api/me', { headers })).json.user as { name: string } | undefined)?.name;
/** What a browser sends after this answer to a login. */
const sentAfter = ({ headers, json }: Answer) => ({
  cookie: headers.get('set-cookie')?.split(';')[0] ?? '',
  [pageHeader]: String(json.page),
});
const noted = async ({ user }: Person) =>
  (await c.audit.list({ userId: user.id, limit: 3 })).map(({ actorName, action, details }) => [
    ...[actorName, action],
    ...Object.values(details),
  ]);

describe('a login link', () => {
  test('gives a cookie and its page secret, once', async () => {
    const link = await c.call('POST', '/api/login-tokens', { token: c.ada.token, body: {} });
    expect(String(link.json.url).startsWith(c.url)).toBe(true);
    const token = tokenIn(link.json.url);
    const answer = await login({ token });
    expect(answer.json).toEqual({ user: c.ada.user, page: expect.stringMatching(/^[\w-]{43}$/) as string });
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const header = answer.headers.get('set-cookie') ?? '';
    expect(header).toMatch(/^airlock=[\w-]{43}; Path=\/; Expires=[^;]+; HttpOnly; SameSite=Strict$/);
    const endsInMs = Date.parse(/Expires=([^;]+)/.exec(header)?.[1] ?? '') - Date.now();
    expect(Math.round(endsInMs / 60_000)).toBe(12 * 60);
    expect(await codeOf(login({ token }))).toBe('401 login_token_invalid');
    const headers = sentAfter(answer);
    expect(await me(headers)).toBe('ada');
    expect((await c.call('POST', '/api/logout', { headers: { ...headers, origin: c.origin } })).status).toBe(204);
    expect(await codeOf(c.call('GET', '/api/me', { headers }))).toBe('401 unauthenticated');
    expect(await noted(c.ada)).toEqual([
      ['ada', 'signed_out'],
      ['ada', 'signed_in'],
      ['ada', 'login_link_created'],
    ]);
  });

  test('names the account before it is used', async () => {
    const token = await linkOf(c.bob);
    const ask = (body: object) => c.call('POST', '/api/login/account', { body, headers: { origin: c.origin } });
    for (let i = 0; i < 2; i++) {
      const { json } = await ask({ token });
      expect(json).toEqual({ userName: 'bob', expiresAt: expect.any(String) as string });
    }
    expect((await login({ token })).status).toBe(200);
    expect(await codeOf(ask({ token }))).toBe('401 login_token_invalid');
    const [refused] = await c.audit.list({ userId: null, limit: 1 });
    expect(refused).toMatchObject({
      ...{ action: 'sign_in_refused', actorId: null, userId: null },
      details: { reason: 'login_token_invalid' },
    });
  });

  test('makes nobody somebody else until they choose', async () => {
    const ada = await c.browserOf(c.ada);
    const token = await linkOf(c.bob);
    // With the page secret, and from a page that has lost it: the browser is ada's.
    for (const headers of [ada, { cookie: ada.cookie }]) {
      const refused = await login({ token }, { headers });
      expect([refused.status, refused.json.error?.code]).toEqual([409, 'other_user_signed_in']);
      expect(refused.headers.get('set-cookie')).toBeNull();
    }
    expect((await noted(c.ada))[0]).toEqual(['ada', 'sign_in_refused', 'other_user_signed_in', 'bob']);
    expect(await codeOf(login({ token, replace: false }, { headers: ada }))).toBe('409 other_user_signed_in');
    expect(await me(ada)).toBe('ada');
    const chosen = await login({ token, replace: true }, { headers: ada });
    expect(await me(sentAfter(chosen))).toBe('bob');
    expect(await me(ada)).toBeUndefined();
    expect((await noted(c.ada))[0]).toEqual(['ada', 'signed_out']);
    expect((await noted(c.bob))[0]).toEqual(['bob', 'signed_in']);
  });

  test('is used by whoever has signed out, or whose sign-in it renews', async () => {
    const bob = await c.browserOf(c.bob);
    await c.call('POST', '/api/logout', { headers: { ...bob, origin: c.origin } });
    const ada = sentAfter(await login({ token: await linkOf(c.ada) }, { headers: bob }));
    expect(await me(ada)).toBe('ada');
    const renewed = sentAfter(await login({ token: await linkOf(c.ada) }, { headers: ada }));
    expect(await me(renewed)).toBe('ada');
    expect(await me(ada)).toBeUndefined();
  });

  test('that replaces a sign-in by its cookie alone ends nothing elsewhere', async () => {
    const ada = await c.browserOf(c.ada);
    await login({ token: await linkOf(c.bob), replace: true }, { headers: { cookie: ada.cookie } });
    expect(await me(ada)).toBe('ada');
  });

  test('is made for others by administrators only', async () => {
    const body = { userName: 'ada' };
    expect(await codeOf(c.call('POST', '/api/login-tokens', { token: c.bob.token, body }))).toBe('403 forbidden');
    const link = await c.call('POST', '/api/login-tokens', { token: c.admin.token, body });
    expect((await noted(c.ada))[0]).toEqual(['admin', 'login_link_created']);
    expect((await login({ token: tokenIn(link.json.url) })).json).toMatchObject({ user: c.ada.user });
    const unknown = c.call('POST', '/api/login-tokens', { token: c.admin.token, body: { userName: 'unknown' } });
    expect(await codeOf(unknown)).toBe('404 not_found');
  });

  test.each(['ada', 'admin'] as const)('is not made by a browser, also not one of %s', async (name) => {
    const headers = { ...(await c.browserOf(c[name])), origin: c.origin };
    for (const body of [{}, { userName: 'ada' }]) {
      expect(await codeOf(c.call('POST', '/api/login-tokens', { headers, body }))).toBe('403 forbidden');
    }
  });

  test('of another site signs nobody in', async () => {
    const headers = { origin: 'https://evil.example' };
    const token = await linkOf(c.bob);
    for (const path of ['/api/login', '/api/login/account']) {
      expect(await codeOf(c.call('POST', path, { headers, body: { token } }))).toBe('403 origin_refused');
    }
  });

  test.each(['/api/login', '/api/login/account'])('cannot be guessed at %s', async (path) => {
    const { url: base, server } = await c.another({});
    const body = { token: 'x'.repeat(43) };
    const codes: string[] = [];
    for (let i = 0; i < 21; i++) codes.push(await codeOf(c.call('POST', path, { base, body })));
    expect(codes.slice(0, 20)).toEqual(Array(20).fill('401 login_token_invalid'));
    expect(codes[20]).toBe('429 rate_limited');
    await server.close();
  });
});

/** Follows a new sign-in at a provider; resolves with the stream once it is open. */
async function follow(headers: Record<string, string>, base: string): Promise<IncomingMessage> {
  const { id } = await c.sessions.start(c.ada.user.id, 'codex');
  const request = get(`${base}/api/vm/auth/${id}/events`, { headers, agent: false });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return response.on('error', () => undefined).resume();
}

describe('a cookie', () => {
  test('ends with what it has open, however much it is used', async () => {
    const headers = await c.browserOf(c.ada);
    let end = new Date(Date.now() + 3_600_000);
    const byCookie: typeof c.users.byCookie = async (cookie, page) => {
      const found = await c.users.byCookie(cookie, page);
      return found?.signIn ? { ...found, signIn: { ...found.signIn, expiresAt: end } } : found;
    };
    const { url: base, server } = await c.another({ users: { ...c.users, byCookie } });
    const stays = await follow(headers, base);
    c.sessions.clear();
    end = new Date(Date.now() + 500);
    const ends = await follow(headers, base);
    expect([stays.statusCode, ends.statusCode]).toEqual([200, 200]);
    await new Promise((resolve) => ends.once('close', resolve));
    expect(Date.now()).toBeGreaterThanOrEqual(end.getTime());
    expect(stays.closed).toBe(false);
    stays.destroy();
    await server.close();
  });

  /** Calls that ask for no sign-in; the desktop asks for a ticket. */
  const open = ['GET /healthz', 'POST /api/login', 'POST /api/login/account', 'GET /api/vm/{id}/desktop'];

  /** Every call that there is, with ids that could be. */
  async function everyCall(): Promise<{ method: string; path: string }[]> {
    const { paths } = (await c.call('GET', '/api/openapi.json')).json as { paths: Record<string, object> };
    return Object.entries(paths)
      .flatMap(([path, methods]) => Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path })))
      .filter(({ method, path }) => !open.includes(`${method} ${path}`))
      .map(({ method, path }) => {
        const id = path.startsWith('/api/vm/auth/') ? newId('ses') : newId('vm');
        return { method, path: path.replace('{id}', id).replace('{provider}', 'codex') };
      });
  }

  test('is nothing without its page secret, for any call', async () => {
    const admin = await c.browserOf(c.admin);
    const { [pageHeader]: anothers } = await c.browserOf(c.ada);
    const calls = await everyCall();
    expect(calls.length).toBeGreaterThan(30);
    const stolen = [{ cookie: admin.cookie }, { cookie: admin.cookie, [pageHeader]: anothers }];
    for (const { method, path } of calls) {
      for (const headers of stolen) {
        const code = await codeOf(c.call(method, path, { headers: { ...headers, origin: c.origin } }));
        expect(`${method} ${path} ${code}`).toBe(`${method} ${path} 401 unauthenticated`);
      }
    }
    expect(await me(admin)).toBe('admin');
  });

  test('behind https has a name that no other host or port can set, and links carry the public URL', async () => {
    const settings = { ...c.settings, AIRLOCK_PUBLIC_URL: 'https://airlock.example' };
    const { url: base, server } = await c.another({ settings });
    const link = await c.call('POST', '/api/login-tokens', { base, token: c.ada.token, body: {} });
    expect(String(link.json.url)).toMatch(/^https:\/\/airlock\.example\/dashboard\/login#token=/);
    const origin = 'https://airlock.example';
    const answer = await login({ token: tokenIn(link.json.url) }, { base, headers: { origin } });
    expect(answer.headers.get('set-cookie')).toMatch(
      /^__Host-airlock=[\w-]{43}; Path=\/; Expires=[^;]+; HttpOnly; Secure; SameSite=Strict$/,
    );
    const headers = sentAfter(answer);
    expect((await c.call('GET', '/api/me', { base, headers })).json).toEqual({ user: c.ada.user });
    const planted = { ...headers, cookie: headers.cookie.replace('__Host-', '') };
    expect(await codeOf(c.call('GET', '/api/me', { base, headers: planted }))).toBe('401 unauthenticated');
    const left = await c.call('POST', '/api/logout', { base, headers: { ...headers, origin } });
    expect(left.headers.get('set-cookie')).toMatch(/^__Host-airlock=; Max-Age=0; Path=\/; .*; HttpOnly; Secure/);
    await server.close();
  });
});

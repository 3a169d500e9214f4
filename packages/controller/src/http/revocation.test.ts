/** Keeping people out: whatever they hold, and whatever they have open, ends at once. */
import { once } from 'node:events';
import { get, request as httpRequest, type IncomingMessage } from 'node:http';
import { readFile } from 'node:fs/promises';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { DesktopTicket } from '@airlock/contract/api';
import { SignInList } from '@airlock/contract/sign-ins';
import { homePaths } from '@airlock/contract/home';
import { adminToken, useTestController, type Person } from './testing/controller.js';

const c = useTestController();

let eve: Person;
let serial = 0;
beforeEach(async () => {
  eve = await c.users.create(`eve${(serial += 1)}`);
});

const admin = () => ({ token: c.admin.token });
const as = (person: Person) => ({ token: person.token });
const codeOf = async (answer: ReturnType<typeof c.call>) => {
  const { status, json } = await answer;
  return `${status} ${json.error?.code ?? 'ok'}`;
};
const bearer = (person: Person) => ({ authorization: `Bearer ${person.token}` });
const browser = async (person: Person) => ({ ...(await c.browserOf(person)), origin: c.origin });
type Headers = Record<string, string>;

/** Resolves when the other side has ended it, however. */
interface Open {
  ended: Promise<unknown>;
}

/** Not `once`, to which an end in the middle is an error. */
const closeOf = (what: IncomingMessage | WebSocket) =>
  new Promise<void>((resolve) => what.on('error', () => undefined).once('close', () => resolve()));

async function follow(person: Person, headers: Headers): Promise<Open> {
  const listed = await c.sessions.list(person.user.id);
  const session = listed[0] ?? (await c.sessions.start(person.user.id, 'codex'));
  const request = get(`${c.url}/api/vm/auth/${session.id}/events`, { headers, agent: false });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  expect(response.statusCode).toBe(200);
  response.resume();
  return { ended: closeOf(response) };
}

async function watch(person: Person, headers: Headers): Promise<Open> {
  const vm = c.vms.add(person.user.id);
  const { json } = await c.call('POST', `/api/vm/${vm.id}/desktop-ticket`, { headers });
  const { path } = DesktopTicket.parse(json);
  const socket = new WebSocket(new URL(path, c.url.replace('http', 'ws')), ['binary'], { headers });
  await once(socket, 'open');
  return { ended: closeOf(socket) };
}

/** A server whose prompts say one word and go on until their caller has hung up. */
async function withEndlessPrompts() {
  const callers: AbortSignal[] = [];
  const { url, server } = await c.another({
    prompts: {
      prepare: async () => async (emit, caller) => {
        callers.push(caller);
        await emit({ chunk: 'thinking' });
        await new Promise<void>((resolve) => caller.addEventListener('abort', () => resolve()));
      },
    },
  });
  return { url, server, callers };
}

async function ask(url: string, headers: Headers): Promise<Open> {
  const options = { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, agent: false };
  const request = httpRequest(`${url}/api/vm/me/cli/prompt`, options);
  request.end(JSON.stringify({ provider: 'codex', prompt: 'hello' }));
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  await once(response, 'data');
  response.resume();
  return { ended: closeOf(response) };
}

describe('a user who is disabled', () => {
  test('has no stream, viewer or prompt open any more, and nobody else loses one', async () => {
    const { url, server, callers } = await withEndlessPrompts();
    const cookie = await browser(eve);
    const opened = [
      await follow(eve, bearer(eve)),
      await follow(eve, cookie),
      await watch(eve, bearer(eve)),
      await watch(eve, cookie),
      await ask(url, bearer(eve)),
    ];
    let left = 0;
    for (const { ended } of [await follow(c.bob, bearer(c.bob)), await watch(c.bob, bearer(c.bob))])
      void ended.then(() => (left += 1));
    const { json } = await c.call('POST', `/api/users/${eve.user.id}/disable`, admin());
    expect(json).toEqual({ ...eve.user, state: 'disabled' });
    await Promise.all(opened.map(({ ended }) => ended));
    await vi.waitFor(() => expect(callers.map(({ aborted }) => aborted)).toEqual([true]));
    await vi.waitFor(() => expect(c.vms.desktops.size).toBe(1));
    expect(left).toBe(0);
    await server.close();
  });

  test('is refused by token, cookie and link, and told in words why there is no link', async () => {
    const headers = await browser(eve);
    const { token } = await c.users.createLoginToken(eve.user.id);
    await c.call('POST', `/api/users/${eve.user.id}/disable`, admin());
    expect(await codeOf(c.call('GET', '/api/me', as(eve)))).toBe('401 unauthenticated');
    expect(await codeOf(c.call('GET', '/api/me', { headers }))).toBe('401 unauthenticated');
    expect(await codeOf(c.call('POST', '/api/login', { body: { token } }))).toBe('401 login_token_invalid');
    const body = { userName: eve.user.name };
    expect(await codeOf(c.call('POST', '/api/login-tokens', { ...admin(), body }))).toBe('403 user_disabled');
    await c.call('POST', `/api/users/${eve.user.id}/enable`, admin());
    expect(await codeOf(c.call('GET', '/api/me', as(eve)))).toBe('200 ok');
    expect(await codeOf(c.call('GET', '/api/me', { headers }))).toBe('401 unauthenticated');
  });

  test('has their sign-ins cancelled and their VMs stopped', async () => {
    const stopped: string[] = [];
    c.vms.stopAllOf = async (userId) => void stopped.push(userId);
    const session = await c.sessions.start(eve.user.id, 'codex');
    await c.call('POST', `/api/users/${eve.user.id}/disable`, admin());
    expect(await c.sessions.get(eve.user.id, session.id)).toMatchObject({ status: 'cancelled' });
    expect(stopped).toEqual([eve.user.id]);
  });

  test('is nothing that others than administrators decide, and never the last of them', async () => {
    for (const [method, path] of [
      ['POST', `/api/users/${eve.user.id}/disable`],
      ['POST', `/api/users/${eve.user.id}/enable`],
      ['DELETE', `/api/users/${eve.user.id}`],
    ] as const) {
      expect(await codeOf(c.call(method, path, as(c.bob)))).toBe('403 forbidden');
      expect(await codeOf(c.call(method, path, as(eve)))).toBe('403 forbidden');
    }
    for (const [method, path] of [
      ['POST', `/api/users/${c.admin.user.id}/disable`],
      ['DELETE', `/api/users/${c.admin.user.id}`],
    ] as const) {
      expect(await codeOf(c.call(method, path, admin()))).toBe('409 last_admin');
    }
    expect(await codeOf(c.call('GET', '/api/me', admin()))).toBe('200 ok');
  });

  test('gets nothing by a request that was being looked up at that moment', async () => {
    const byToken = c.users.byToken;
    let disabled: Promise<unknown> | undefined;
    const { url: base, server } = await c.another({
      users: {
        ...c.users,
        byToken: async (token) => {
          const found = await byToken(token);
          // The answer of the database is on its way while somebody revokes.
          if (token === eve.token) await (disabled = c.call('POST', `/api/users/${eve.user.id}/disable`, admin()));
          return found;
        },
      },
    });
    expect(await codeOf(c.call('GET', '/api/me', { base, ...as(eve) }))).toBe('401 unauthenticated');
    await disabled;
    await server.close();
  });
});

test('a user who is removed is gone, and the name is free for somebody else', async () => {
  const removed: string[] = [];
  c.vms.removeAllOf = async (userId) => void removed.push(userId);
  const stream = await follow(eve, bearer(eve));
  const viewer = await watch(eve, await browser(eve));
  expect((await c.call('DELETE', `/api/users/${eve.user.id}`, admin())).status).toBe(204);
  await Promise.all([stream.ended, viewer.ended]);
  expect(removed).toEqual([eve.user.id]);
  expect(await codeOf(c.call('GET', '/api/me', as(eve)))).toBe('401 unauthenticated');
  expect(await codeOf(c.call('DELETE', `/api/users/${eve.user.id}`, admin()))).toBe('404 not_found');
  const again = await c.call('POST', '/api/users', { ...admin(), body: { name: eve.user.name } });
  expect([again.status, (again.json.user as { id: string }).id === eve.user.id]).toEqual([201, false]);
});

describe('a token', () => {
  test('that is rotated is dead at once, and so is what it has open; a browser stays signed in', async () => {
    const headers = await browser(eve);
    const byToken = await follow(eve, bearer(eve));
    let left = false;
    void (await follow(eve, headers)).ended.then(() => (left = true));
    const { json } = await c.call('POST', '/api/users/me/rotate-token', as(eve));
    await byToken.ended;
    expect(await codeOf(c.call('GET', '/api/me', as(eve)))).toBe('401 unauthenticated');
    expect((await c.call('GET', '/api/me', { token: String(json.token) })).json).toEqual({ user: eve.user });
    expect(await codeOf(c.call('GET', '/api/me', { headers }))).toBe('200 ok');
    expect(left).toBe(false);
    const other = await c.call('POST', `/api/users/${eve.user.id}/rotate-token`, admin());
    expect((await c.call('GET', '/api/me', { token: String(other.json.token) })).json).toEqual({ user: eve.user });
  });

  test('of the admin is in its file when the old one is dead', async () => {
    const { json } = await c.call('POST', '/api/users/me/rotate-token', admin());
    expect(await codeOf(c.call('GET', '/api/me', admin()))).toBe('401 unauthenticated');
    expect(await readFile(homePaths(c.home).token, 'utf8')).toBe(json.token);
    c.admin.token = String(json.token);
    expect(c.admin.token).not.toBe(adminToken);
    expect((await c.call('GET', '/api/me', admin())).json).toEqual({ user: c.admin.user });
  });

  test('is not given to a browser: a stolen cookie opens nothing that outlives it', async () => {
    const headers = await browser(c.admin);
    const wanted: [string, unknown][] = [
      ['/api/users/me/rotate-token', undefined],
      [`/api/users/${eve.user.id}/rotate-token`, undefined],
      ['/api/users', { name: 'mallory' }],
    ];
    for (const [path, body] of wanted) {
      expect(await codeOf(c.call('POST', path, { headers, ...(body !== undefined && { body }) }))).toBe(
        '403 forbidden',
      );
    }
    expect(await codeOf(c.call('GET', '/api/me', as(eve)))).toBe('200 ok');
    expect(await codeOf(c.call('POST', `/api/users/${eve.user.id}/rotate-token`, as(c.bob)))).toBe('404 not_found');
  });
});

describe('sign-ins', () => {
  const list = async (options: Parameters<typeof c.call>[2], id = 'me') =>
    SignInList.parse((await c.call('GET', `/api/users/${id}/sign-ins`, options)).json).signIns;

  test('are seen by their user and administrators, and nobody else', async () => {
    const headers = await browser(eve);
    await browser(eve);
    expect((await list({ headers })).map(({ current }) => current)).toEqual([false, true]);
    const seen = await list(admin(), eve.user.id);
    expect(seen.map(({ lastUsedAt }) => lastUsedAt !== null)).toEqual([false, true]);
    expect(await codeOf(c.call('GET', `/api/users/${eve.user.id}/sign-ins`, as(c.bob)))).toBe('404 not_found');
  });

  test('end one by one, with what they have open', async () => {
    const [gone, stays] = [await browser(eve), await browser(eve)];
    const viewer = await watch(eve, gone);
    let left = false;
    void (await watch(eve, stays)).ended.then(() => (left = true));
    const id = (await list({ headers: gone })).find(({ current }) => current)?.id ?? '';
    const path = `/api/users/me/sign-ins/${id}`;
    expect(await codeOf(c.call('DELETE', path, as(c.bob)))).toBe('404 not_found');
    expect((await c.call('DELETE', path, { headers: stays })).status).toBe(204);
    await viewer.ended;
    expect(await codeOf(c.call('GET', '/api/me', { headers: gone }))).toBe('401 unauthenticated');
    expect(await codeOf(c.call('GET', '/api/me', { headers: stays }))).toBe('200 ok');
    expect(left).toBe(false);
    expect(await codeOf(c.call('DELETE', path, { headers: stays }))).toBe('404 not_found');
  });

  test('end with a logout, with what that browser has open', async () => {
    const headers = await browser(eve);
    const viewer = await watch(eve, headers);
    expect((await c.call('POST', '/api/logout', { headers })).status).toBe(204);
    await viewer.ended;
  });

  test('end everywhere, also where that was asked for; the token goes on', async () => {
    const headers = await browser(eve);
    const opened = [await watch(eve, headers), await follow(eve, await browser(eve))];
    let left = false;
    void (await follow(eve, bearer(eve))).ended.then(() => (left = true));
    const { json } = await c.call('DELETE', '/api/users/me/sign-ins', { headers });
    expect(json).toEqual({ ended: 2 });
    await Promise.all(opened.map(({ ended }) => ended));
    expect(await codeOf(c.call('GET', '/api/me', { headers }))).toBe('401 unauthenticated');
    expect(await codeOf(c.call('GET', '/api/me', as(eve)))).toBe('200 ok');
    expect(left).toBe(false);
  });
});

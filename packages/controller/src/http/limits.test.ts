/** Rate limits, attacked: whom a flood costs what, and that it locks nobody else out. */
import { mkdir, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { newId } from '@airlock/contract/ids';
import { newSecret } from '../lib/secret.js';
import type { HttpDeps, Server } from './deps.js';
import { useTestController } from './testing/controller.js';

const c = useTestController();
let server: Server;
let lookUps: string[];

/** A server whose limits begin anew, and that tells what is looked up. */
async function open(change: Partial<HttpDeps['settings']> = {}): Promise<void> {
  lookUps = [];
  const asked = <A extends unknown[], R>(name: string, ask: (...args: A) => R) => {
    return (...args: A): R => (lookUps.push(name), ask(...args));
  };
  const users = {
    ...c.users,
    byToken: asked('token', c.users.byToken),
    byCookie: asked('cookie', c.users.byCookie),
  };
  ({ server } = await c.another({ users, settings: { ...c.settings, ...change } }));
}

beforeEach(async () => {
  await open();
  return () => server.close();
});

interface Call {
  headers?: Record<string, string>;
  from?: string;
  body?: object;
}
async function statusOf(method: 'GET' | 'POST', url: string, { headers = {}, from, body }: Call = {}): Promise<number> {
  const answer = await server.inject({
    ...{ method, url, headers: { host: `localhost:${port()}`, ...headers } },
    ...(from !== undefined && { remoteAddress: from }),
    ...(body && { payload: body }),
  });
  return answer.statusCode;
}
const port = (): number => {
  const address = server.server.address();
  return address !== null && typeof address === 'object' ? address.port : 0;
};

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
const me = (headers: Record<string, string>, from?: string) =>
  statusOf('GET', '/api/me', { headers, ...(from !== undefined && { from }) });
const login = (token: string, call: Call = {}) => statusOf('POST', '/api/login', { ...call, body: { token } });
const link = async (): Promise<string> => (await c.users.createLoginToken(c.bob.user.id)).token;
/** Asks for a desktop as a WebSocket that has this ticket. */
function viewWith(ticket: string): Promise<number | undefined> {
  const headers = {
    ...{ host: `localhost:${port()}`, connection: 'Upgrade', upgrade: 'websocket' },
    ...{ 'sec-websocket-version': '13', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' },
  };
  const path = `/api/vm/${newId('vm')}/desktop?ticket=${ticket}`;
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port: port(), path, headers, agent: false }, (answer) =>
      resolve(answer.resume().statusCode),
    )
      .on('error', reject)
      .end();
  });
}

async function times<T>(count: number, ask: (turn: number) => Promise<T>): Promise<T[]> {
  const all: T[] = [];
  for (let turn = 0; turn < count; turn++) all.push(await ask(turn));
  return all;
}

describe('rate limits', () => {
  test('a flood of wrong secrets is looked up not once, and locks nobody out who is behind the same address', async () => {
    const ada = await c.browserOf(c.ada);
    const flood = [
      ...(await times(250, () => me(bearer(newSecret())))),
      ...(await times(250, () => me({ cookie: `airlock=${newSecret()}` }))),
    ];
    expect(flood.slice(0, 200)).toEqual(Array(200).fill(401));
    expect(flood.slice(200)).toEqual(Array(300).fill(429));
    expect(await times(25, () => login(newSecret()))).toEqual([
      ...Array<number>(20).fill(401),
      ...Array<number>(5).fill(429),
    ]);
    expect(lookUps).toEqual([]);
    expect(await me(bearer(c.ada.token))).toBe(200);
    expect(await me(ada)).toBe(200);
    expect(await login(await link())).toBe(200);
    expect(await me({})).toBe(401);
  });

  test('a stolen cookie is looked up not once, and uses up nothing of its owner', async () => {
    const ada = await c.browserOf(c.ada);
    const statuses = await times(610, (turn) => me({ cookie: ada.cookie }, `192.0.2.${turn % 250}`));
    expect(statuses).toEqual(Array(610).fill(401));
    expect(lookUps).toEqual([]);
    expect(await me(ada)).toBe(200);
  });

  test('a wrong ticket counts for its address', async () => {
    const statuses = await times(210, () => viewWith(newSecret()));
    expect([statuses.slice(0, 200), statuses.slice(200)]).toEqual([Array(200).fill(401), Array(10).fill(429)]);
  });

  test('only failed logins count', async () => {
    expect(await times(30, async () => login(await link()))).toEqual(Array(30).fill(200));
    expect(await login(newSecret())).toBe(401);
  });

  test('who calls too often is refused before the look-up, on their own account, from whatever address', async () => {
    const statuses = await times(610, (turn) => me(bearer(c.ada.token), `192.0.2.${turn % 250}`));
    expect(statuses).toEqual([...Array<number>(600).fill(200), ...Array<number>(10).fill(429)]);
    expect(lookUps).toHaveLength(600);
    expect(await me(await c.browserOf(c.ada))).toBe(429);
    expect(await me(bearer(c.bob.token))).toBe(200);
  });

  test('pages, their files and health are exempt', async () => {
    const files = join(c.home, 'dashboard', 'assets');
    await mkdir(files, { recursive: true });
    await writeFile(join(files, 'a.js'), '0');
    await times(610, () => me(bearer(c.ada.token)));
    await times(210, () => me(bearer(newSecret())));
    for (const path of ['/healthz', '/dashboard/assets/a.js']) {
      const statuses = await times(610, () => statusOf('GET', path, { headers: bearer(c.ada.token) }));
      expect(new Set(statuses)).toEqual(new Set([200]));
    }
  });
});

describe('an address', () => {
  const wrong = (call: Call) => login(newSecret(), call);
  const forwarded = (text: string): Call => ({ headers: { 'x-forwarded-for': text } });
  const refusedAt21 = [...Array<number>(20).fill(401), 429];

  test('is never taken from a header, unless a trusted proxy sent it', async () => {
    expect(await times(21, (turn) => wrong(forwarded(`192.0.2.${turn}`)))).toEqual(refusedAt21);
  });

  test('is that which a trusted proxy saw, whatever its client had put before', async () => {
    await server.close();
    await open({ AIRLOCK_TRUSTED_PROXIES: ['127.0.0.0/8', '2001:db8:1::1'] });
    const through = (client: string) => (turn: number) => wrong(forwarded(`192.0.2.${turn}, ${client}`));
    expect(await times(21, through('198.51.100.1'))).toEqual(refusedAt21);
    expect(await wrong(forwarded('198.51.100.2'))).toBe(401);
    expect(await wrong(forwarded('198.51.100.1, 2001:db8:1::1'))).toBe(429);
    // One that does not say it, or says nonsense, answers for its clients; those that sign in rightly do not suffer from it.
    expect(await times(21, (turn) => wrong(forwarded(`nonsense-${turn}`)))).toEqual(refusedAt21);
    expect(await wrong({})).toBe(429);
    expect(await login(await link(), forwarded('nonsense'))).toBe(200);
  });

  test('of IPv6 is its network, and an IPv4 one is the same however it is written', async () => {
    expect(await times(21, (turn) => wrong({ from: `2001:db8::${turn + 1}` }))).toEqual(refusedAt21);
    expect(await wrong({ from: '2001:db8:0:1::1' })).toBe(401);
    expect(await times(21, (turn) => wrong({ from: turn % 2 ? '203.0.113.7' : '::ffff:203.0.113.7' }))).toEqual(
      refusedAt21,
    );
  });

  test('is forgotten when five thousand others came after it: what is remembered is bounded', async () => {
    const from = '203.0.113.7';
    expect(await times(21, () => wrong({ from }))).toEqual(refusedAt21);
    await times(5000, (turn) => wrong({ from: `10.1.${turn >> 8}.${turn & 255}` }));
    expect(await wrong({ from })).toBe(401);
  }, 60_000);
});

/** The simulated provider must be as strict as the real one, or a sign-in test proves nothing. */
import { createHash, randomBytes } from 'node:crypto';
import { request, type IncomingMessage } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ProxyAgent, fetch, type Response } from 'undici';
import { createFakeInternet, type FakeInternet } from '../support/fake-internet.js';
import { codexClientId } from '../support/fake-internet/codex-state.js';

const canaryToken = 'CANARY-token_0123';
const redirectUri = 'http://127.0.0.1:1455/auth/callback';
let internet: FakeInternet;
let agent: ProxyAgent;

beforeAll(async () => {
  internet = await createFakeInternet({ ports: [0, 0], canaryToken });
  agent = new ProxyAgent({ uri: internet.upstreamUrl(), requestTls: { ca: internet.caPem } });
});
afterAll(async () => {
  await agent.destroy();
  await internet.close();
});

const get = async (url: string): Promise<Response> => fetch(url, { dispatcher: agent, redirect: 'manual' });
const post = async (path: string, fields: Record<string, string>): Promise<Response> =>
  fetch(`https://auth.openai.com${path}`, {
    method: 'POST',
    body: new URLSearchParams(fields),
    dispatcher: agent,
    redirect: 'manual',
  });
const locationOf = (response: Response): URL =>
  new URL(response.headers.get('location') ?? '', 'https://auth.openai.com');

interface Attempt {
  verifier: string;
  state: string;
  authorize: Record<string, string>;
}

function newAttempt(): Attempt {
  const verifier = randomBytes(48).toString('base64url');
  const state = randomBytes(16).toString('base64url');
  const authorize = {
    response_type: 'code',
    client_id: codexClientId,
    redirect_uri: redirectUri,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    state,
    scope: 'openid profile email offline_access',
  };
  return { verifier, state, authorize };
}

const authorize = async (fields: Record<string, string>): Promise<Response> =>
  get(`https://auth.openai.com/oauth/authorize?${new URLSearchParams(fields)}`);

async function challengeOf(attempt: Attempt): Promise<string> {
  return locationOf(await authorize(attempt.authorize)).searchParams.get('challenge') ?? '';
}

/** The person: logs in and decides. Returns the callback address. */
async function signIn(attempt: Attempt, decision: 'allow' | 'deny' = 'allow'): Promise<URL> {
  const challenge = await challengeOf(attempt);
  const consent = locationOf(await post('/log-in', { challenge, ...internet.account }));
  expect(consent.pathname).toBe('/consent');
  return locationOf(await post('/consent', { challenge, decision }));
}

const redeem = async (code: string, verifier: string, other: Record<string, string> = {}): Promise<Response> =>
  post('/oauth/token', {
    grant_type: 'authorization_code',
    client_id: codexClientId,
    redirect_uri: redirectUri,
    code,
    code_verifier: verifier,
    ...other,
  });

const codeOf = (callback: URL): string => callback.searchParams.get('code') ?? '';

describe('upstream proxy', () => {
  const right = `Basic ${Buffer.from('airlock:upstream-password').toString('base64')}`;
  const uses: [method: string, path: string, login: string | undefined, status: number][] = [
    ['CONNECT', 'claude.ai:443', undefined, 407],
    ['CONNECT', 'claude.ai:443', right.slice(0, -4), 407],
    ['CONNECT', 'claude.ai:443', right, 200],
    ['GET', 'http://claude.ai/', undefined, 407],
    ['GET', 'http://claude.ai/', 'Bearer x', 407],
    ['GET', 'http://claude.ai/', right, 200],
  ];
  it.each(uses)('%s %s with login %s is answered %i', async (method, path, login, status) => {
    const headers = login === undefined ? {} : { 'proxy-authorization': login };
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port: internet.port, method, path, headers });
      sent.once('response', resolve).once('connect', resolve).once('error', reject).end();
    });
    answer.socket.destroy();
    expect(answer.statusCode).toBe(status);
    expect(answer.headers['proxy-authenticate']).toBe(status === 407 ? 'Basic realm="upstream"' : undefined);
    expect(internet.upstreamUses.at(-1)).toMatchObject({ port: internet.port, authorized: status === 200 });
  });

  it('answers claude.ai by CONNECT and in plain, and records the port of the user', async () => {
    const [, second] = internet.ports as [number, number];
    const other = new ProxyAgent({
      uri: internet.upstreamUrl(second),
      requestTls: { ca: internet.caPem },
      proxyTunnel: false,
    });
    try {
      for (const scheme of ['https', 'http']) {
        const answer = await fetch(`${scheme}://claude.ai/path?secret=1`, { dispatcher: other });
        expect([answer.status, await answer.text()]).toEqual([200, expect.stringContaining('Claude')]);
        expect(internet.requests.at(-1)).toEqual({
          port: second,
          method: 'GET',
          scheme,
          host: 'claude.ai',
          path: '/path',
          status: 200,
        });
      }
    } finally {
      await other.destroy();
    }
  });

  it('names an unknown host in a 502 and never dials it', async () => {
    const answer = await get('https://unknown.example/x');
    expect([answer.status, await answer.text()]).toEqual([
      502,
      'Fake internet: no host unknown.example is simulated.\n',
    ]);
    expect(internet.requests.at(-1)).toMatchObject({ host: 'unknown.example', status: 502 });
  });

  it('is not trusted without its CA', async () => {
    const untrusting = new ProxyAgent(internet.upstreamUrl());
    await expect(fetch('https://claude.ai/', { dispatcher: untrusting })).rejects.toThrow('fetch failed');
    await untrusting.destroy();
  });

  it('leaves nothing listening when one of its ports is taken', async () => {
    await expect(createFakeInternet({ ports: [0, internet.port] })).rejects.toThrow('EADDRINUSE');
  });
});

describe('Codex: authorize and log in', () => {
  const wrong: [name: string, value: string][] = [
    ['response_type', 'token'],
    ['client_id', 'app_other'],
    ['redirect_uri', 'http://evil.example/auth/callback'],
    ['redirect_uri', 'http://127.0.0.1:9999/auth/callback'],
    ['code_challenge_method', 'plain'],
    ['code_challenge', 'short'],
    ['state', ''],
  ];
  it.each(wrong)('refuses %s=%s', async (name, value) => {
    const answer = await authorize({ ...newAttempt().authorize, [name]: value });
    expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining(name)]);
  });

  it('shows the form again after a wrong password, and no consent page without a login', async () => {
    const challenge = await challengeOf(newAttempt());
    const answer = await post('/log-in', { challenge, email: internet.account.email, password: 'wrong' });
    const page = await answer.text();
    expect(answer.status).toBe(400);
    expect(page).toContain('Incorrect email address or password');
    expect(page).toContain(`value="${internet.account.email}"`);
    expect((await get(`https://auth.openai.com/consent?challenge=${challenge}`)).status).toBe(400);
    expect((await post('/consent', { challenge, decision: 'allow' })).status).toBe(400);
  });

  it('sends a refusal to the callback, and ends the attempt', async () => {
    const attempt = newAttempt();
    const callback = await signIn(attempt, 'deny');
    expect(callback.origin + callback.pathname).toBe(redirectUri);
    expect(Object.fromEntries(callback.searchParams)).toMatchObject({ error: 'access_denied', state: attempt.state });
    expect(callback.searchParams.has('code')).toBe(false);
  });
});

describe('Codex: tokens', () => {
  it('gives tokens that carry the canary, and an API key for the id token', async () => {
    const attempt = newAttempt();
    const callback = await signIn(attempt);
    expect(callback.searchParams.get('state')).toBe(attempt.state);
    const answer = await redeem(codeOf(callback), attempt.verifier);
    expect(answer.status).toBe(200);
    const tokens = (await answer.json()) as Record<string, string>;
    for (const name of ['id_token', 'access_token', 'refresh_token']) expect(tokens[name]).toContain(canaryToken);
    const claims: unknown = JSON.parse(Buffer.from(tokens['id_token']?.split('.')[1] ?? '', 'base64url').toString());
    expect(claims).toMatchObject({
      email: internet.account.email,
      'https://api.openai.com/auth': { chatgpt_plan_type: 'plus', chatgpt_account_id: expect.any(String) },
    });
    const exchange = { grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', client_id: codexClientId };
    const key = await post('/oauth/token', {
      ...exchange,
      requested_token: 'openai-api-key',
      subject_token: tokens['id_token'] ?? '',
      subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
    });
    expect(await key.json()).toMatchObject({ access_token: expect.stringContaining(canaryToken) });
    const forged = await post('/oauth/token', {
      ...exchange,
      requested_token: 'openai-api-key',
      subject_token: 'a.b.c',
    });
    expect(forged.status).toBe(400);
  });

  it('takes a code once only', async () => {
    const attempt = newAttempt();
    const code = codeOf(await signIn(attempt));
    expect((await redeem(code, attempt.verifier)).status).toBe(200);
    const again = await redeem(code, attempt.verifier);
    expect([again.status, await again.json()]).toEqual([400, expect.objectContaining({ error: 'invalid_grant' })]);
  });

  const refusals: [what: string, status: number, fields: Record<string, string>][] = [
    ['a wrong verifier', 400, { code_verifier: randomBytes(48).toString('base64url') }],
    ['a missing verifier', 400, { code_verifier: '' }],
    ['another redirect_uri', 400, { redirect_uri: 'http://localhost:1455/auth/callback' }],
    ['another client', 401, { client_id: 'app_other' }],
    ['another grant', 400, { grant_type: 'password' }],
    ['an unknown code', 400, { code: 'ac_unknown' }],
  ];
  it.each(refusals)('refuses %s', async (_what, status, fields) => {
    const attempt = newAttempt();
    const answer = await redeem(codeOf(await signIn(attempt)), attempt.verifier, fields);
    expect(answer.status).toBe(status);
    expect(await answer.json()).not.toHaveProperty('access_token');
  });

  it('keeps two sign-ins apart', async () => {
    const [one, two] = [newAttempt(), newAttempt()];
    const [codeOne, codeTwo] = [codeOf(await signIn(one)), codeOf(await signIn(two))];
    expect((await redeem(codeOne, two.verifier)).status).toBe(400);
    expect((await redeem(codeTwo, two.verifier)).status).toBe(200);
  });
});

/** The simulated Anthropic must be as strict as the real one, or a sign-in test proves nothing. */
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ProxyAgent, fetch, type Response } from 'undici';
import { createFakeInternet, type FakeInternet } from '../support/fake-internet.js';
import { claudeClientId, claudeCodePage } from '../support/fake-internet/claude-state.js';

const canaryToken = 'CANARY-anthropic_0123';
const redirectUri = 'http://localhost:41234/callback';
let internet: FakeInternet;
let dispatcher: ProxyAgent;

beforeAll(async () => {
  internet = await createFakeInternet({ canaryToken });
  dispatcher = new ProxyAgent({ uri: internet.upstreamUrl(), requestTls: { ca: internet.caPem } });
});
afterAll(async () => {
  await dispatcher.destroy();
  await internet.close();
});

const get = async (url: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(url, { dispatcher, headers, redirect: 'manual' });
const submit = async (path: string, fields: Record<string, string>): Promise<Response> =>
  fetch(`https://claude.com${path}`, {
    method: 'POST',
    body: new URLSearchParams(fields),
    dispatcher,
    redirect: 'manual',
  });
const postJson = async (url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(url, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
    dispatcher,
  });
const locationOf = (response: Response): URL => new URL(response.headers.get('location') ?? '', 'https://claude.com');

interface Attempt {
  verifier: string;
  query: Record<string, string>;
}

function newAttempt(redirect_uri = redirectUri): Attempt {
  const verifier = randomBytes(48).toString('base64url');
  return {
    verifier,
    query: {
      code: 'true',
      response_type: 'code',
      client_id: claudeClientId,
      redirect_uri,
      scope: 'org:create_api_key user:profile user:inference',
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
      state: randomBytes(32).toString('base64url'),
    },
  };
}

const authorize = async (query: Record<string, string>): Promise<Response> =>
  get(`https://claude.com/cai/oauth/authorize?${new URLSearchParams(query)}`);

/** The person: logs in and decides. Returns the callback address. */
async function signIn({ query }: Attempt, decision: 'allow' | 'deny' = 'allow'): Promise<URL> {
  const challenge = locationOf(await authorize(query)).searchParams.get('challenge') ?? '';
  await submit('/log-in', { challenge, ...internet.account });
  return locationOf(await submit('/consent', { challenge, decision }));
}

const tokenUrl = 'https://platform.claude.com/v1/oauth/token';
const redeem = async (attempt: Attempt, callback: URL, changes: Record<string, string> = {}): Promise<Response> =>
  postJson(tokenUrl, {
    grant_type: 'authorization_code',
    client_id: claudeClientId,
    redirect_uri: attempt.query['redirect_uri'],
    code: callback.searchParams.get('code'),
    state: callback.searchParams.get('state'),
    code_verifier: attempt.verifier,
    ...changes,
  });

interface Tokens {
  access_token: string;
  refresh_token: string;
}

async function newTokens(): Promise<Tokens> {
  const attempt = newAttempt();
  return (await (await redeem(attempt, await signIn(attempt))).json()) as Tokens;
}

const refresh = async (token: string): Promise<Response> =>
  postJson(tokenUrl, { grant_type: 'refresh_token', client_id: claudeClientId, refresh_token: token });

describe('Anthropic: authorize', () => {
  const wrong: [name: string, value: string][] = [
    ['response_type', 'token'],
    ['client_id', 'other'],
    ['redirect_uri', 'http://evil.example/callback'],
    ['redirect_uri', 'http://localhost:41234/other'],
    ['code_challenge_method', 'plain'],
    ['code_challenge', 'short'],
    ['state', 'short'],
    ['scope', 'user:profile'],
  ];
  it.each(wrong)('refuses %s=%s', async (name, value) => {
    const answer = await authorize({ ...newAttempt().query, [name]: value });
    expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining(name)]);
  });

  it('sends a refusal to the callback', async () => {
    const attempt = newAttempt();
    const callback = await signIn(attempt, 'deny');
    expect(callback.href.startsWith(redirectUri)).toBe(true);
    expect(Object.fromEntries(callback.searchParams)).toMatchObject({
      error: 'access_denied',
      state: attempt.query['state'],
    });
  });

  it('shows code and state as one text where no CLI can be called back', async () => {
    const attempt = newAttempt(claudeCodePage);
    const callback = await signIn(attempt);
    const code = callback.searchParams.get('code') ?? '';
    expect(await (await get(callback.href)).text()).toContain(`value="${code}#${attempt.query['state']}"`);
    expect((await redeem(attempt, callback)).status).toBe(200);
  });
});

describe('Anthropic: tokens', () => {
  const refusals: [what: string, status: number, changes: Record<string, string>][] = [
    ['a wrong verifier', 400, { code_verifier: randomBytes(48).toString('base64url') }],
    ['another state', 400, { state: randomBytes(32).toString('base64url') }],
    ['another redirect_uri', 400, { redirect_uri: claudeCodePage }],
    ['another client', 401, { client_id: 'other' }],
    ['another grant', 400, { grant_type: 'password' }],
    ['an unknown code', 400, { code: 'unknown' }],
  ];
  it.each(refusals)('refuses %s', async (_what, status, changes) => {
    const attempt = newAttempt();
    const answer = await redeem(attempt, await signIn(attempt), changes);
    expect(answer.status).toBe(status);
    expect(await answer.json()).not.toHaveProperty('access_token');
  });

  it('takes a code once only', async () => {
    const attempt = newAttempt();
    const callback = await signIn(attempt);
    expect((await redeem(attempt, callback)).status).toBe(200);
    expect(await (await redeem(attempt, callback)).json()).toMatchObject({ error: 'invalid_grant' });
  });

  it('gives a new refresh token for each use, fifty times, and refuses every old one', async () => {
    let { refresh_token: live } = await newTokens();
    const used: string[] = [];
    for (let round = 0; round < 50; round += 1) {
      const answer = await refresh(live);
      expect(answer.status).toBe(200);
      used.push(live);
      live = ((await answer.json()) as Tokens).refresh_token;
      expect(live).toContain(canaryToken);
    }
    expect(new Set([...used, live]).size).toBe(51);
    for (const old of [used[0] ?? '', used[49] ?? '']) {
      const answer = await refresh(old);
      expect([answer.status, await answer.json()]).toEqual([400, expect.objectContaining({ error: 'invalid_grant' })]);
    }
    expect([internet.claudeProvider.isLive(live), used.some(internet.claudeProvider.isLive)]).toEqual([true, false]);
  });

  it('answers a prompt to a live token or a known key only, word by word when asked to', async () => {
    const { access_token: token } = await newTokens();
    const body = {
      model: 'm',
      stream: true,
      messages: [{ role: 'user', content: [{ type: 'text', text: 'two words' }] }],
    };
    const ask = async (headers: Record<string, string>): Promise<Response> =>
      postJson('https://api.anthropic.com/v1/messages', body, headers);
    const answer = await ask({ authorization: `Bearer ${token}` });
    const events = (await answer.text())
      .match(/(?<=^data: ).*$/gm)
      ?.map((line) => JSON.parse(line) as { type: string });
    const deltas = events?.map((event) => (event as { delta?: { text?: string } }).delta?.text ?? '').join('');
    expect(deltas).toBe('Simulated Claude heard: two words');
    expect([events?.[0]?.type, events?.at(-1)?.type]).toEqual(['message_start', 'message_stop']);
    expect((await ask({})).status).toBe(401);
    expect((await ask({ 'x-api-key': 'sk-ant-unknown' })).status).toBe(401);
    internet.claudeProvider.addApiKey('sk-ant-known');
    expect((await ask({ 'x-api-key': 'sk-ant-known' })).status).toBe(200);
    internet.claudeProvider.expireAccessTokens();
    expect((await ask({ authorization: `Bearer ${token}` })).status).toBe(401);
  });
});

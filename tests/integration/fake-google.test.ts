/** The simulated Google must be as strict as the real one, or a sign-in test proves nothing. */
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ProxyAgent, fetch, type Response } from 'undici';
import { createFakeInternet, type FakeInternet } from '../support/fake-internet.js';
import { geminiClient, geminiCodePage, geminiScopes } from '../support/fake-internet/google-state.js';

const canaryToken = 'CANARY-token_0123';
const redirectUri = 'http://127.0.0.1:40123/oauth2callback';
let internet: FakeInternet;
let agent: ProxyAgent;

beforeAll(async () => {
  internet = await createFakeInternet({ canaryToken });
  agent = new ProxyAgent({ uri: internet.upstreamUrl(), requestTls: { ca: internet.caPem } });
});
afterAll(async () => {
  await agent.destroy();
  await internet.close();
});

const ask = async (url: string, bearer = '', body?: string): Promise<Response> =>
  fetch(`https://${url}`, {
    method: body === undefined ? 'GET' : 'POST',
    body: body ?? null,
    headers: bearer === '' ? {} : { authorization: `Bearer ${bearer}` },
    dispatcher: agent,
    redirect: 'manual',
  });
const post = async (url: string, fields: Record<string, string>): Promise<Response> =>
  ask(url, '', new URLSearchParams(fields).toString());
const locationOf = (response: Response): URL =>
  new URL(response.headers.get('location') ?? '', 'https://accounts.google.com');
const codeAssist = async (method: string, bearer: string, body: unknown = {}): Promise<Response> =>
  ask(`cloudcode-pa.googleapis.com/v1internal:${method}`, bearer, JSON.stringify(body));

const request = (): Record<string, string> => ({
  response_type: 'code',
  client_id: geminiClient.id,
  redirect_uri: redirectUri,
  access_type: 'offline',
  scope: geminiScopes.join(' '),
  state: randomBytes(32).toString('hex'),
});
const authorize = async (fields: Record<string, string>): Promise<Response> =>
  ask(`accounts.google.com/o/oauth2/v2/auth?${new URLSearchParams(fields)}`);

/** The person logs in and decides; the address that they are sent to. */
async function signIn(fields: Record<string, string>, decision = 'allow'): Promise<URL> {
  const challenge = locationOf(await authorize(fields)).searchParams.get('challenge') ?? '';
  await post('accounts.google.com/log-in', { challenge, ...internet.account });
  return locationOf(await post('accounts.google.com/consent', { challenge, decision }));
}

const redeem = async (code: string, other: Record<string, string> = {}): Promise<Response> =>
  post('oauth2.googleapis.com/token', {
    grant_type: 'authorization_code',
    client_id: geminiClient.id,
    client_secret: geminiClient.secret,
    redirect_uri: redirectUri,
    code,
    ...other,
  });
const codeOf = (callback: URL): string => callback.searchParams.get('code') ?? '';

async function tokens(): Promise<Record<string, string>> {
  const answer = await redeem(codeOf(await signIn(request())));
  expect(answer.status).toBe(200);
  return (await answer.json()) as Record<string, string>;
}

describe('Google: authorize', () => {
  it.each([
    ['response_type', 'token'],
    ['client_id', 'other'],
    ['access_type', 'online'],
    ['scope', 'openid'],
    ['state', 'short'],
    ['redirect_uri', 'http://evil.example/oauth2callback'],
    ['redirect_uri', geminiCodePage],
    ['code_challenge', 'short'],
  ])('refuses %s=%s', async (name, value) => {
    expect((await authorize({ ...request(), [name]: value })).status).toBe(400);
  });

  it('sends a refusal to the callback', async () => {
    const fields = request();
    const callback = await signIn(fields, 'deny');
    expect(Object.fromEntries(callback.searchParams)).toMatchObject({ error: 'access_denied', state: fields['state'] });
  });

  it('shows the code on its own page to a CLI without a browser, and then wants the verifier', async () => {
    const verifier = randomBytes(48).toString('base64url');
    const code_challenge = createHash('sha256').update(verifier).digest('base64url');
    const pkce = { ...request(), redirect_uri: geminiCodePage, code_challenge, code_challenge_method: 'S256' };
    const callback = await signIn(pkce);
    const page = await (await ask(`${callback.host}${callback.pathname}${callback.search}`)).text();
    expect(page).toContain(codeOf(callback));
    expect((await redeem(codeOf(callback), { redirect_uri: geminiCodePage })).status).toBe(400);
    const again = codeOf(await signIn(pkce));
    const verified = await redeem(again, { redirect_uri: geminiCodePage, code_verifier: verifier });
    expect(verified.status).toBe(200);
  });
});

describe('Google: tokens', () => {
  it.each([
    ['redirect_uri', 'http://127.0.0.1:40124/oauth2callback'],
    ['client_secret', 'wrong'],
    ['code', 'wrong'],
  ])('refuses a code with a wrong %s, and after that for good', async (name, value) => {
    const code = codeOf(await signIn(request()));
    expect((await redeem(code, { [name]: value })).status).toBeGreaterThanOrEqual(400);
    const expected = name === 'redirect_uri' ? 400 : 200;
    expect((await redeem(code)).status).toBe(expected);
    expect((await redeem(code)).status).toBe(400);
  });

  it('keeps the refresh token through a refresh, until it is revoked', async () => {
    const first = await tokens();
    for (const name of ['access_token', 'refresh_token', 'id_token']) expect(first[name]).toContain(canaryToken);
    const grant = {
      grant_type: 'refresh_token',
      client_id: geminiClient.id,
      client_secret: geminiClient.secret,
      refresh_token: first['refresh_token'] ?? '',
    };
    const refreshed = (await (await post('oauth2.googleapis.com/token', grant)).json()) as Record<string, string>;
    expect(refreshed).not.toHaveProperty('refresh_token');
    expect(refreshed['access_token']).not.toBe(first['access_token']);
    expect((await post('oauth2.googleapis.com/token', grant)).status).toBe(200);
    internet.googleProvider.revokeAll();
    const refused = await post('oauth2.googleapis.com/token', grant);
    expect([refused.status, await refused.json()]).toMatchObject([400, { error: 'invalid_grant' }]);
    expect((await codeAssist('loadCodeAssist', refreshed['access_token'] ?? '')).status).toBe(401);
  });
});

describe('Google: Code Assist', () => {
  it('needs a live token, onboards by an operation, and streams an answer', async () => {
    expect((await codeAssist('loadCodeAssist', 'ya29.wrong')).status).toBe(401);
    const { access_token: access = '' } = await tokens();
    expect(await (await codeAssist('loadCodeAssist', access)).json()).not.toHaveProperty('currentTier');
    const started = (await (await codeAssist('onboardUser', access, { tierId: 'standard-tier' })).json()) as {
      name: string;
    };
    expect(started).not.toHaveProperty('done');
    const operation = await ask(`cloudcode-pa.googleapis.com/v1internal/${started.name}`, access);
    expect(await operation.json()).toMatchObject({ done: true });
    expect(await (await codeAssist('loadCodeAssist', access)).json()).toHaveProperty('currentTier.id', 'standard-tier');
    const contents = [{ role: 'user', parts: [{ text: 'Good morning' }] }];
    const stream = await codeAssist('streamGenerateContent', access, { model: 'm', request: { contents } });
    expect(stream.headers.get('content-type')).toBe('text/event-stream');
    expect(await stream.text()).toMatch(/^data: \{.*You said: Good morning.*\}\r\n\r\n$/);
    internet.googleProvider.expireAccessTokens();
    expect((await codeAssist('generateContent', access)).status).toBe(401);
  });

  it.each([
    ['individual', 'UNSUPPORTED_CLIENT'],
    ['location', 'UNSUPPORTED_LOCATION'],
    ['age', 'RESTRICTED_AGE'],
    ['unverified', 'VALIDATION_REQUIRED'],
  ] as const)('gives no tier and no project to an account that is refused: %s', async (standing, reasonCode) => {
    const { access_token: access = '' } = await tokens();
    internet.googleProvider.setStanding(standing);
    const answer = await (await codeAssist('loadCodeAssist', access)).json();
    expect(answer).toMatchObject({ ineligibleTiers: [{ reasonCode }] });
    expect(answer).not.toHaveProperty('currentTier');
    const onboarded = await (await codeAssist('onboardUser', access, { tierId: 'standard-tier' })).json();
    expect(onboarded).toMatchObject({ done: true, response: {} });
    internet.googleProvider.setStanding('licensed');
  });

  it('has a project for a Workspace account only when that names one', async () => {
    const { access_token: access = '' } = await tokens();
    internet.googleProvider.setStanding('workspace');
    const without = await (await codeAssist('loadCodeAssist', access)).json();
    expect(without).toHaveProperty('currentTier');
    expect(without).not.toHaveProperty('cloudaicompanionProject');
    const named = { cloudaicompanionProject: 'ada-project-1' };
    expect(await (await codeAssist('loadCodeAssist', access, named)).json()).toMatchObject(named);
    internet.googleProvider.setStanding('licensed');
  });

  it('answers the public API to a known key only', async () => {
    const path = 'generativelanguage.googleapis.com/v1beta/models/m:generateContent';
    const body = JSON.stringify({ contents: [{ role: 'user', parts: [{ text: 'hi' }] }] });
    expect((await ask(`${path}?key=k`, '', body)).status).toBe(400);
    internet.googleProvider.addApiKey('k');
    expect(await (await ask(`${path}?key=k`, '', body)).text()).toContain('You said: hi');
  });
});

import { describe, expect, test } from 'vitest';
import { claudeCode } from './claude-code.js';
import { codex } from './codex.js';
import { jwtExpiry } from './expiry.js';
import { geminiCli } from './gemini-cli.js';

const jwt = (claims: unknown): string =>
  ['{"alg":"none"}', JSON.stringify(claims), 'x'].map((part) => Buffer.from(part).toString('base64url')).join('.');
const at = 1_900_000_000;

test.each([
  ['a token with an end', jwt({ exp: at, name: 'Zoë ÿ?>' }), at * 1000],
  ['one without', jwt({ iat: at }), null],
  ['one with another kind of end', jwt({ exp: 'soon' }), null],
  ['an opaque token', 'at_1234', null],
  ['three parts that are no token', 'a.b.c', null],
  ['nothing', '', null],
])('the end of %s', (_what, token, expected) => {
  expect(jwtExpiry(token)).toBe(expected);
});

describe('codex', () => {
  const expiry = (document: unknown) =>
    codex.login?.expiry?.(new Map([['.codex/auth.json', JSON.stringify(document)]])) ?? null;
  const tokens = (refresh: string) => ({ id_token: 'i', access_token: jwt({ exp: at }), refresh_token: refresh });
  test('ends with its access token, and renews itself while it has a refresh token', () => {
    expect(expiry({ tokens: tokens('r') })).toEqual({ expiresAt: at * 1000, renewable: true });
    expect(expiry({ tokens: tokens('') })).toEqual({ expiresAt: at * 1000, renewable: false });
  });
  test('says nothing for an API key, or in another form', () => {
    expect(expiry({ auth_mode: 'apikey', OPENAI_API_KEY: 'sk-x' })).toBeNull();
    expect(expiry('half')).toBeNull();
    expect(codex.login?.expiry?.(new Map([['.codex/auth.json', '{"tok']]))).toBeNull();
  });
});

test('gemini says when its access token ends', () => {
  const file = (text: string) => geminiCli.login?.expiry?.(new Map([['.gemini/oauth_creds.json', text]])) ?? null;
  expect(file(JSON.stringify({ access_token: 'a', refresh_token: 'r', expiry_date: at * 1000 }))).toEqual({
    expiresAt: at * 1000,
    renewable: true,
  });
  expect(file(JSON.stringify({ access_token: 'a' }))).toBeNull();
  expect(geminiCli.login?.expiry?.(new Map())).toBeNull();
});

test('claude says when its access token ends, and nothing for an API key', () => {
  const file = (path: string, document: unknown) =>
    claudeCode.login?.expiry?.(new Map([[path, JSON.stringify(document)]])) ?? null;
  const claudeAiOauth = { accessToken: 'a', refreshToken: 'r', expiresAt: at * 1000 };
  expect(file('.claude/.credentials.json', { claudeAiOauth })).toEqual({ expiresAt: at * 1000, renewable: true });
  expect(file('.claude.json', { primaryApiKey: 'sk-ant-x' })).toBeNull();
});

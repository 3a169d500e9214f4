import { describe, expect, it } from 'vitest';
import { claudeCode } from './claude-code.js';
import type { FileTexts } from './facts.js';
import { findProvider } from './registry.js';

const { login } = claudeCode;
if (login === null) throw new Error('Claude Code has a login.');

const tokens = {
  accessToken: 'sk-ant-oat01-a',
  refreshToken: 'sk-ant-ort01-r',
  expiresAt: 1,
  scopes: ['user:inference'],
};
const account = { accountUuid: 'u', emailAddress: 'ada@example.com', profileFetchedAt: 5 };
const files = (credentials: unknown, state: unknown): FileTexts =>
  new Map([
    ...(credentials === undefined ? [] : [['.claude/.credentials.json', JSON.stringify(credentials)] as const]),
    ...(state === undefined ? [] : [['.claude.json', JSON.stringify(state)] as const]),
  ]);
const whole = files({ claudeAiOauth: tokens, mcpOAuth: { x: 1 } }, { oauthAccount: account, projects: { a: 1 } });
const parsed = (texts: FileTexts): Record<string, unknown> =>
  Object.fromEntries(Array.from(texts, ([path, text]) => [path, JSON.parse(text) as unknown]));

describe('claude_code', () => {
  it('accepts tokens with their account, and an API key', () => {
    expect(login.inspectCredential(whole)).toEqual({ complete: true });
    expect(login.inspectCredential(files(undefined, { primaryApiKey: 'k' }))).toEqual({ complete: true });
  });

  it.each([
    ['nothing', files(undefined, undefined), /credentials\.json does not exist/],
    ['what the CLI writes before a login', files(undefined, { userID: 'x' }), /credentials\.json does not exist/],
    ['tokens alone', files({ claudeAiOauth: tokens }, undefined), /\.claude\.json does not exist/],
    ['tokens without account', files({ claudeAiOauth: tokens }, { userID: 'x' }), /lacks oauthAccount/],
    [
      'no refresh token',
      files({ claudeAiOauth: { ...tokens, refreshToken: '' } }, { oauthAccount: account }),
      /refreshToken/,
    ],
    ['a half-written file', new Map([['.claude/.credentials.json', '{"claudeAiOauth":{"acc']]), /not JSON/],
  ])('refuses %s and says what is missing', (_what, texts, reason) => {
    expect(login.inspectCredential(texts)).toMatchObject({
      complete: false,
      reason: expect.stringMatching(reason) as string,
    });
  });

  it('hands over the login and its first-run flag, and nothing else of the documents', () => {
    const { profileFetchedAt: _time, ...oauthAccount } = account;
    const handedOver = login.handOver?.(whole) ?? new Map();
    expect(parsed(handedOver)).toEqual({
      '.claude/.credentials.json': { claudeAiOauth: tokens },
      '.claude.json': { oauthAccount, hasCompletedOnboarding: true },
    });
    expect(login.handOver?.(handedOver)).toEqual(handedOver);
    expect(login.inspectCredential(handedOver)).toEqual({ complete: true });
  });

  it('knows when the access token ends; a key has no end', () => {
    expect(login.expiry?.(whole)).toEqual({ expiresAt: 1, renewable: true });
    expect(login.expiry?.(files(undefined, { primaryApiKey: 'k' }))).toBeNull();
  });

  it('makes a login of an API key, which is handed over as it is', () => {
    const key = 'sk-ant-api03-abcdefghijklmnop';
    expect(login.apiKey?.key.test(key)).toBe(true);
    expect(login.apiKey?.key.test('sk-proj-abcdefghijklmnopqrst')).toBe(false);
    const made = login.apiKey?.files(key) ?? new Map();
    expect(login.inspectCredential(made)).toEqual({ complete: true });
    expect(login.handOver?.(made)).toEqual(made);
  });

  it.each(['claude_code', 'claude', 'claude_code_pro', 'claude_code_max', 'anthropic'])('is found as %s', (name) => {
    expect(findProvider(name)?.id).toBe('claude_code');
  });

  it.each([
    ['yes', 0, '{\n  "loggedIn": true,\n  "authMethod": "claude.ai"\n}\n', true],
    ['yes behind a warning', 0, 'Warning: no git\n{"loggedIn": true}\n', true],
    ['no', 1, '{\n  "loggedIn": false\n}\n', false],
    ['no with a good exit code', 0, '{"loggedIn": false}', false],
    ['yes with a bad exit code', 1, '{"loggedIn": true}', false],
    ['nothing', 0, '', false],
    ['another text', 0, 'loggedIn: true', false],
  ])('understands the status %s', (_what, exitCode, output, accepted) => {
    expect(login.proof.accepts(exitCode, output)).toBe(accepted);
  });
});

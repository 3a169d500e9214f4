import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { geminiCli } from './gemini-cli.js';
import type { ProviderLogin } from './facts.js';
import { findProvider } from './registry.js';

const login = geminiCli.login as ProviderLogin;
const fixture = (name: string): string =>
  readFileSync(new URL(`fixtures/gemini-0.61-${name}.txt`, import.meta.url), 'utf8');

const settings = '.gemini/settings.json';
const tokens = '.gemini/oauth_creds.json';
const account = '.gemini/google_accounts.json';
const key = '.gemini/.env';
const seeded = login.before?.[0]?.text ?? '';
const whole = JSON.stringify({ access_token: 'a', refresh_token: 'r', token_type: 'Bearer', expiry_date: 1 }, null, 2);
const apiKey = 'AIzaSyExample_0123456789-abcdefghijklmn';

const inspect = (files: Record<string, string>) => login.inspectCredential(new Map(Object.entries(files)));

describe('the credential of gemini', () => {
  it('is complete with tokens and the settings that name them', () => {
    expect(inspect({ [settings]: seeded, [tokens]: whole })).toEqual({ complete: true });
  });

  it.each([
    ['nothing', {}, /settings\.json does not exist/],
    ['settings alone, as before the login', { [settings]: seeded }, /oauth_creds\.json does not exist/],
    ['a half-written file', { [settings]: seeded, [tokens]: whole.slice(0, 40) }, /oauth_creds\.json is not JSON/],
    ['no refresh token', { [settings]: seeded, [tokens]: '{"access_token":"a"}' }, /lacks refresh_token/],
    ['no way to sign in chosen', { [settings]: '{}', [tokens]: whole }, /settings\.json lacks security/],
    [
      'a way to sign in that is none of ours',
      { [settings]: seeded.replace('oauth-personal', 'vertex-ai') },
      /selectedType/,
    ],
    ['a key where tokens are meant', { [settings]: seeded, [key]: `GEMINI_API_KEY=${apiKey}` }, /oauth_creds/],
    [
      'an empty key',
      { [settings]: seeded.replace('oauth-personal', 'gemini-api-key'), [key]: 'GEMINI_API_KEY=\n' },
      /no GEMINI_API_KEY/,
    ],
  ])('is not complete with %s', (_what, files, reason) => {
    expect(inspect(files)).toMatchObject({ complete: false, reason: expect.stringMatching(reason) as string });
  });

  it('is judged, never thrown at, whatever the files hold', () => {
    const text = fc.oneof(fc.string(), fc.json(), fc.constantFrom(seeded, whole, seeded.slice(0, 50), 'null', '[]'));
    const files = fc.dictionary(fc.constantFrom(settings, tokens, account, key), text);
    fc.assert(
      fc.property(files, (some) => {
        const texts = new Map(Object.entries(some));
        if (login.inspectCredential(texts).complete) {
          const handed = login.handOver?.(texts) ?? new Map<string, string>();
          expect(login.inspectCredential(handed)).toEqual({ complete: true });
          expect(login.handOver?.(handed)).toEqual(handed);
          expect(() => login.expiry?.(handed)).not.toThrow();
        }
      }),
    );
  });

  it('is handed over without what else stands in the settings or lies about', () => {
    const own = JSON.stringify({ ...(JSON.parse(seeded) as object), mcpServers: { x: {} } });
    const handed = login.handOver?.(
      new Map([
        [settings, own],
        [tokens, whole],
        [account, '{}'],
        [key, 'GEMINI_API_KEY=x'],
      ]),
    );
    expect([...(handed?.keys() ?? [])]).toEqual([settings, tokens, account]);
    expect(handed?.get(settings)).toBe(seeded);
    expect(handed?.get(tokens)).toBe(whole);
  });

  it('says when its access token ends, and renews it by itself', () => {
    const tokensUntil = whole.replace('"expiry_date": 1', '"expiry_date": 1795420515283');
    expect(login.expiry?.(new Map([[tokens, tokensUntil]]))).toEqual({ expiresAt: 1795420515283, renewable: true });
    expect(login.expiry?.(new Map([[key, 'GEMINI_API_KEY=x']]))).toBeNull();
  });

  it('is made of an API key alone', () => {
    expect(login.apiKey?.key.test(apiKey)).toBe(true);
    expect(login.apiKey?.key.test('short')).toBe(false);
    const files = login.apiKey?.files(apiKey) ?? new Map<string, string>();
    expect(login.inspectCredential(files)).toEqual({ complete: true });
    expect(login.handOver?.(files)).toEqual(files);
  });
});

it('takes the code that Google shows, and no piece of it', () => {
  const whole = new RegExp(`^(?:${login.pasteCode?.code.source ?? ''})$`);
  expect(whole.test(`4/0AX4XfWh${'a-_9'.repeat(12)}`)).toBe(true);
  for (const other of ['', '4/0AX4', 'AX4XfWh'.repeat(5), `4/0${'a'.repeat(30)} x`])
    expect(whole.test(other)).toBe(false);
});

describe('the proof', () => {
  it('believes the words of a CLI that was let in, and of no other', () => {
    expect(login.proof.accepts(0, fixture('proof'))).toBe(true);
    expect(login.proof.accepts(1, fixture('proof'))).toBe(false);
    // The CLI ends with 0 here too.
    expect(login.proof.accepts(0, fixture('proof-refused'))).toBe(false);
    expect(login.proof.accepts(0, 'Installed extensions:\n')).toBe(false);
    expect(login.proof.accepts(0, fixture('proof') + fixture('proof-refused'))).toBe(false);
  });
});

it.each(['gemini_cli', 'gemini', 'google'])('is found as %s', (name) => {
  expect(findProvider(name)?.id).toBe('gemini_cli');
});

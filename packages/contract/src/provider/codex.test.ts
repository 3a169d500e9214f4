import { readFileSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { codex } from './codex.js';
import { findProvider } from './registry.js';

const complete = { tokens: { id_token: 'a.b.c', access_token: 'x', refresh_token: 'y' }, OPENAI_API_KEY: null };
const inspect = (content: string | undefined) =>
  codex.login?.inspectCredential(new Map(content === undefined ? [] : [['.codex/auth.json', content]]));

describe('codex', () => {
  it('accepts a whole login', () => {
    expect(inspect(JSON.stringify(complete))).toEqual({ complete: true });
  });

  it.each([
    ['no file', undefined, /does not exist/],
    ['an empty file', '', /not JSON/],
    ['a half-written file', JSON.stringify(complete).slice(0, 30), /not JSON/],
    [
      'a login without refresh token',
      JSON.stringify({ tokens: { id_token: 'a', access_token: 'b' } }),
      /tokens\.refresh_token/,
    ],
    ['an API key without its mode', JSON.stringify({ OPENAI_API_KEY: 'k' }), /tokens/],
    ['a mode without its API key', JSON.stringify({ auth_mode: 'apikey', OPENAI_API_KEY: '' }), /tokens/],
    ['null', 'null', /whole document/],
  ])('refuses %s and says what is missing', (_name, content, reason) => {
    expect(inspect(content)).toMatchObject({ complete: false, reason: expect.stringMatching(reason) as string });
  });

  it.each(['codex', 'codex_cli', 'openai'])('is found as %s', (name) => {
    expect(findProvider(name)?.id).toBe('codex');
  });

  it('believes only the CLI’s own words', () => {
    expect(codex.login?.proof.accepts(0, 'Logged in using ChatGPT\n')).toBe(true);
    expect(codex.login?.proof.accepts(0, 'Not logged in')).toBe(false);
    expect(codex.login?.proof.accepts(1, 'Logged in using ChatGPT')).toBe(false);
  });

  it('finds page and code of a device sign-in on the terminal of 0.169', () => {
    const recorded = readFileSync(new URL('fixtures/codex-0.169-device-auth.txt', import.meta.url), 'utf8');
    const shown = stripVTControlCharacters(recorded);
    expect(codex.login?.deviceCode?.url.exec(shown)?.[0]).toBe('https://auth.openai.com/codex/device');
    expect(codex.login?.deviceCode?.code?.exec(shown)?.[0]).toBe('G6C3-T6CV2');
  });

  it('makes of an API key the file that the CLI itself writes, and accepts it', () => {
    const apiKey = codex.login?.apiKey;
    const key = 'sk-test-1234567890abcdefghijklmnop';
    expect(apiKey?.key.test(key)).toBe(true);
    expect(['', 'sk-short', `${key} `, `${key}\nx`].some((wrong) => apiKey?.key.test(wrong))).toBe(false);
    const text = apiKey?.files(key).get('.codex/auth.json');
    expect(JSON.parse(text ?? '')).toEqual({ auth_mode: 'apikey', OPENAI_API_KEY: key });
    expect(inspect(text)).toEqual({ complete: true });
    expect(codex.login?.proof.accepts(0, 'API key configured - sk-test-***lmnop\n')).toBe(true);
  });
});

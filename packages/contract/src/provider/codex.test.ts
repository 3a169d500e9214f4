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
    ['an API key alone', JSON.stringify({ OPENAI_API_KEY: 'k' }), /tokens/],
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
});

import { describe, expect, it } from 'vitest';
import { refusalIn } from '@airlock/contract/provider/refusal';
import { providers } from '@airlock/contract/provider/registry';
import { findingOf, findingOfPrompt, promptError, proofError } from './health.js';

const said = {
  codex: 'Not logged in\n',
  claude_code: '{"loggedIn": false}\n',
  gemini_cli: 'IneligibleTierError: no\n',
};

describe.each(['codex', 'claude_code', 'gemini_cli'] as const)('a proof that %s refuses', (id) => {
  it('names the CLI once, and its exit code where nothing more is known', () => {
    const { message } = proofError(providers[id], 'the credential', { exitCode: 3, output: 'Oops' }, 'Ask somebody.');
    expect(message).toMatch(/^The [A-Z]\w+( \w+)? CLI in the CLI VM does not accept the credential \(exit code 3\)\.$/);
    expect(message).not.toContain('CLI CLI');
  });

  it('is told in a sentence of its own, with what to do, and the CLI’s words below', () => {
    const output = said[id];
    const error = proofError(providers[id], 'the credential', { exitCode: 1, output }, 'Ask somebody.');
    expect(error.message).toBe(refusalIn(providers[id].login, output)?.reason);
    expect(error.hint).not.toBe('Ask somebody.');
    expect(error.details).toEqual({ output });
    const proof = { ok: false, exitCode: 1, output };
    const found = findingOf(proof, null, Date.now(), refusalIn(providers[id].login, output));
    expect(found).toEqual({ health: 'needs_login', healthReason: error.message });
  });
});

describe.each([
  ['codex', 'Your access token could not be refreshed because your refresh token was revoked.', 'revoked'],
  ['claude_code', 'Failed to authenticate. API Error: 401 Invalid bearer token', 'needs_login'],
  ['gemini_cli', 'FatalAuthenticationError: Manual authorization is required but', 'needs_login'],
  ['codex', 'Quota exceeded. Check your plan and billing details.', undefined],
  ['claude_code', 'Credit balance is too low', undefined],
  ['gemini_cli', '[API Error: You have exhausted your daily quota on this model.]', undefined],
] as const)('a prompt that %s refuses with "%s"', (id, words, health) => {
  const refusal = refusalIn(providers[id].login, words);

  it.each([
    ['as its reason', { message: words }, words],
    [
      'at the end of standard error',
      { message: 'It ended with exit code 41.', details: { lastOutput: words } },
      `It ended with exit code 41.\n${words}`,
    ],
  ])('is told in a sentence of its own, with what to do, and the CLI’s words below: %s', (_where, said, lastOutput) => {
    const error = promptError(providers[id], { code: 'prompt_failed', hint: 'Connect.', ...said });
    const { reason: message, hint } = refusal ?? {};
    expect(error).toEqual({ code: 'prompt_failed', message, hint, details: { lastOutput } });
  });

  it('says of the login what the sentence says', () => {
    const found = findingOfPrompt(providers[id], words, null, Date.now());
    expect(found).toEqual(health && { health, healthReason: `At a prompt: ${refusal?.reason}` });
  });

  it('stays as it is where Airlock has ended it, or nothing more is known', () => {
    for (const error of [
      { code: 'prompt_timeout', message: words, hint: '' },
      { code: 'prompt_failed', message: 'Oops', hint: '' },
    ] as const)
      expect(promptError(providers[id], error)).toBe(error);
  });
});

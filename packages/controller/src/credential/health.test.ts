import { describe, expect, it } from 'vitest';
import { refusalIn } from '@airlock/contract/provider/refusal';
import { providers } from '@airlock/contract/provider/registry';
import { findingOf, proofError } from './health.js';

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

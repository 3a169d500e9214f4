import { expect, test } from 'vitest';
import type { CredentialHealth, CredentialSummary } from '@airlock/contract/api';
import { providers } from '@airlock/contract/provider/registry';
import type { Session, SessionStatus } from '@airlock/contract/session';
import { summarize } from './provider-summary.js';
import { exampleCredential } from './testing/stand-ins.js';

const session = (id: string, status: SessionStatus) => ({ id, provider: 'codex', status, error: null }) as Session;
const credential = (state: CredentialSummary['state'], health: CredentialHealth = 'valid'): CredentialSummary => ({
  ...exampleCredential,
  updatedAt: '2030-01-01T00:00:00.000Z',
  state,
  health,
});

test.each([
  ['nothing yet', [], [], 'not_connected', null, null],
  ['under way', [session('b', 'ready'), session('a', 'failed')], [], 'connecting', 'b', null],
  ['connected', [session('a', 'completed')], [credential('active')], 'connected', null, null],
  [
    'not accepted any more',
    [session('a', 'completed')],
    [credential('active', 'needs_login')],
    'needs_login',
    null,
    null,
  ],
  ['taken back', [session('a', 'completed')], [credential('active', 'revoked')], 'needs_login', null, null],
  ['expiring', [session('a', 'completed')], [credential('active', 'expiring')], 'connected', null, null],
  ['being removed', [], [credential('removing')], 'not_connected', null, null],
  ['connecting again', [session('b', 'pending')], [credential('active')], 'connecting', 'b', null],
  ['only staged', [session('a', 'failed')], [credential('staged')], 'not_connected', null, 'a'],
  [
    'failed last time',
    [session('b', 'timeout'), session('a', 'completed')],
    [credential('active')],
    'connected',
    null,
    'b',
  ],
  [
    'failed before',
    [session('b', 'completed'), session('a', 'failed')],
    [credential('active')],
    'connected',
    null,
    null,
  ],
] as const)('%s', (_what, sessions, credentials, state, sessionId, failedId) => {
  const summary = summarize(providers.codex, sessions, credentials);
  expect([summary.state, summary.sessionId, summary.lastFailure?.sessionId ?? null]).toEqual([
    state,
    sessionId,
    failedId,
  ]);
});

test('a provider that cannot be signed in to yet is not touched by the sessions of others', () => {
  expect(
    summarize({ ...providers.claude_code, login: null }, [session('a', 'ready')], [credential('active')]),
  ).toMatchObject({
    id: 'claude_code',
    available: false,
    state: 'not_connected',
    connectedAt: null,
  });
});

test('a provider can be connected as soon as it has a login', () => {
  expect(summarize(providers.claude_code, [], []).available).toBe(true);
});

import type { ProviderSummary } from '@airlock/contract/api';
import { describe, expect, it } from 'vitest';
import { actionOf, describeState } from './provider-state.js';

const sessionId = 'ses_0123456789abcdef';
const now = new Date(2026, 4, 14, 12, 0);

function summary(changes: Partial<ProviderSummary>): ProviderSummary {
  return {
    id: 'codex',
    name: 'Codex',
    vendor: 'OpenAI',
    description: '',
    available: true,
    state: 'not_connected',
    sessionId: null,
    connectedAt: null,
    lastFailure: null,
    ...changes,
  };
}

describe('describeState', () => {
  it.each<[string, Partial<ProviderSummary>, string, RegExp]>([
    ['never connected', {}, 'Not connected', /^$/],
    ['under way', { state: 'connecting', sessionId }, 'Connecting', /under way/],
    ['timed out', { lastFailure: { sessionId, status: 'timeout', error: null } }, 'Not connected', /out of time/],
    ['cancelled', { lastFailure: { sessionId, status: 'cancelled', error: null } }, 'Not connected', /cancelled/],
    [
      'failed',
      { lastFailure: { sessionId, status: 'failed', error: { code: 'disk_full', message: 'No room.', hint: '' } } },
      'Not connected',
      /failed: No room\./,
    ],
    ['no longer valid', { state: 'needs_login' }, 'Needs a new sign-in', /^$/],
    ['unavailable', { available: false }, 'Not part of this version', /^$/],
  ])('%s', (_case, changes, label, note) => {
    const described = describeState(summary(changes), now.getTime());
    expect(described.label).toBe(label);
    expect(described.note ?? '').toMatch(note);
  });

  it('says since when it is connected', () => {
    const connected = summary({ state: 'connected', connectedAt: new Date(2026, 4, 2, 8, 5).toISOString() });
    expect(describeState(connected, now.getTime())).toMatchObject({ tone: 'good', note: null });
    expect(describeState(connected, now.getTime()).label).toMatch(/^Connected since .*\b2\b/);
  });
});

describe('actionOf', () => {
  it.each<[Partial<ProviderSummary>, 'start' | 'open', string]>([
    [{}, 'start', 'Connect'],
    [{ state: 'connected' }, 'start', 'Reconnect'],
    [{ state: 'needs_login' }, 'start', 'Reconnect'],
    [{ state: 'connecting', sessionId }, 'open', 'Continue'],
    [{ state: 'connecting' }, 'start', 'Connect'],
  ])('%j', (changes, kind, label) => expect(actionOf(summary(changes))).toEqual({ kind, label }));
});

import type { CredentialSummary } from '@airlock/contract/api';
import { expect, it } from 'vitest';
import { describeHealth } from './health.js';

const now = Date.parse('2030-01-01T12:00:00Z');
const credential: CredentialSummary = {
  ...{ provider: 'codex', generation: 1, state: 'active', method: 'login', updatedAt: '2030-01-01T10:00:00.000Z' },
  ...{ health: 'valid', healthReason: 'The CLI accepts it.', lastCheckedAt: '2030-01-01T11:00:00.000Z' },
  ...{ expiresAt: null, holderVmId: null, copy: 'newest', error: null },
};

it.each([
  [{}, 'good', /^Works$/, /^Checked /],
  [{ lastCheckedAt: null }, 'good', /^Works$/, null],
  [{ health: 'expiring', healthReason: 'It expires soon.' }, 'bad', /Expires soon/, /It expires soon/],
  [{ health: 'needs_login', healthReason: 'Gone.' }, 'bad', /new sign-in/, /Gone/],
  [{ health: 'revoked', healthReason: 'Taken back.' }, 'bad', /Taken back/, /Taken back/],
  [{ health: 'unknown', healthReason: '' }, 'quiet', /Not checked/, null],
  [{ state: 'staged' }, 'busy', /Being checked/, /accepts/],
  [{ state: 'removing' }, 'quiet', /Removed/, /next start/],
] as const)('%j is %s', (change, tone, label, note) => {
  const words = describeHealth({ ...credential, ...change }, now);
  expect(words.tone).toBe(tone);
  expect(words.label).toMatch(label);
  if (note === null) expect(words.note).toBeNull();
  else expect(words.note).toMatch(note);
});

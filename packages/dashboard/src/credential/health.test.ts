import type { CredentialSummary } from '@airlock/contract/api';
import { expect, it } from 'vitest';
import { describeHealth } from './health.js';

const now = Date.parse('2030-01-01T12:00:00Z');
const credential: CredentialSummary = {
  ...{ provider: 'codex', generation: 1, state: 'active', method: 'login', updatedAt: '2030-01-01T10:00:00.000Z' },
  ...{ health: 'valid', healthReason: 'The CLI accepts it.', lastCheckedAt: '2030-01-01T11:00:00.000Z' },
  ...{ expiresAt: null, holderVmId: null, copy: 'newest', copyReason: '', error: null },
};

it.each([
  [{}, /^Works · checked \S/, null],
  [{ method: 'api_key' }, /^Works · API key · checked /, null],
  [{ lastCheckedAt: null }, /^Works$/, null],
  [{ health: 'expiring', expiresAt: '2030-01-03T09:00:00.000Z' }, /^Expires .*3.* · checked /, /cannot renew itself/],
  [{ health: 'expiring' }, /^Expires soon · checked /, /cannot renew itself/],
  [{ health: 'needs_login', healthReason: 'Gone.' }, /^No longer works · checked /, /^Gone\.$/],
  [{ health: 'revoked', healthReason: 'It says so.' }, /^Taken back by the provider · checked /, /^It says so\.$/],
  [{ health: 'unknown', healthReason: '', lastCheckedAt: null }, /^Not checked yet$/, null],
  [{ health: 'unknown', healthReason: 'It did not end.' }, /^Could not be checked · checked /, /^It did not end\.$/],
  [{ copyReason: 'It hung.' }, /^Works · checked /, /^The vault may not have its newest form: It hung\.$/],
  [{ health: 'revoked', healthReason: 'So.', copyReason: 'It hung.' }, /^Taken back/, /^So\. The vault .*: It hung\.$/],
  [{ state: 'staged' }, /^Being checked$/, /accepts/],
  [{ state: 'removing' }, /^Removed$/, /next start/],
] as const)('%j is told', (change, facts, note) => {
  const words = describeHealth({ ...credential, ...change }, now);
  expect(words.facts.join(' · ')).toMatch(facts);
  if (note === null) expect(words.note).toBeNull();
  else expect(words.note).toMatch(note);
});

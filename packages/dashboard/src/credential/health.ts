/** The words for a credential's health. Pure. */
import type { CredentialSummary } from '@airlock/contract/api';
import { formatMoment } from '../ui/time.js';

export interface HealthWords {
  /** What stands between dots: how it is, what it is, when the CLI was last asked. */
  facts: string[];
  /** One more sentence; null when the facts say it all. */
  note: string | null;
}

const labels: Record<CredentialSummary['health'], string> = {
  valid: 'Works',
  expiring: 'Expires soon',
  needs_login: 'No longer works',
  revoked: 'Taken back by the provider',
  unknown: 'Not checked yet',
};

/** `nowMs` decides between a time of day and a date. */
export function describeHealth(credential: CredentialSummary, nowMs: number): HealthWords {
  if (credential.state === 'staged')
    return { facts: ['Being checked'], note: 'The CLI is asked whether it accepts it.' };
  if (credential.state === 'removing') return { facts: ['Removed'], note: 'The CLI VM forgets it at its next start.' };
  const { lastCheckedAt, method } = credential;
  const facts = [
    labelOf(credential, nowMs),
    ...(method === 'api_key' ? ['API key'] : []),
    ...(lastCheckedAt === null ? [] : [`checked ${formatMoment(lastCheckedAt, nowMs)}`]),
  ];
  const notes = [noteOf(credential), copyNoteOf(credential)].filter((text) => text !== null);
  return { facts, note: notes.join(' ') || null };
}

function labelOf({ health, lastCheckedAt, expiresAt }: CredentialSummary, nowMs: number): string {
  if (health === 'unknown' && lastCheckedAt !== null) return 'Could not be checked';
  if (health === 'expiring' && expiresAt !== null) return `Expires ${formatMoment(expiresAt, nowMs)}`;
  return labels[health];
}

/** While nobody can read what the CLI VM has made of it. */
const copyNoteOf = ({ copyReason }: CredentialSummary): string | null =>
  copyReason === '' ? null : `The vault may not have its newest form: ${copyReason}`;

function noteOf({ health, healthReason }: CredentialSummary): string | null {
  if (health === 'valid') return null;
  if (health === 'expiring') return 'It cannot renew itself: sign in again before then.';
  return healthReason || null;
}

/** The words for a credential's health. Pure. */
import type { CredentialSummary } from '@airlock/contract/api';
import { formatMoment } from '../ui/time.js';

export interface HealthWords {
  tone: 'quiet' | 'busy' | 'good' | 'bad';
  label: string;
  /** One more sentence; null when the label says it all. */
  note: string | null;
}

const labels: Record<CredentialSummary['health'], Pick<HealthWords, 'tone' | 'label'>> = {
  valid: { tone: 'good', label: 'Works' },
  expiring: { tone: 'bad', label: 'Expires soon' },
  needs_login: { tone: 'bad', label: 'Needs a new sign-in' },
  revoked: { tone: 'bad', label: 'Taken back by the provider' },
  unknown: { tone: 'quiet', label: 'Not checked yet' },
};

/** `nowMs` decides between a time of day and a date. */
export function describeHealth(credential: CredentialSummary, nowMs: number): HealthWords {
  if (credential.state === 'staged')
    return { tone: 'busy', label: 'Being checked', note: 'The CLI is asked whether it accepts it.' };
  if (credential.state === 'removing')
    return { tone: 'quiet', label: 'Removed', note: 'The CLI machine forgets it at its next start.' };
  const words = labels[credential.health];
  if (credential.health !== 'valid') return { ...words, note: credential.healthReason || null };
  const at = credential.lastCheckedAt;
  return { ...words, note: at === null ? null : `Checked ${formatMoment(at, nowMs)}` };
}

/** The words that a provider's card shows for its state. */
import type { ProviderSummary } from '@airlock/contract/api';
import type { SessionStatus } from '@airlock/contract/session';
import { formatMoment } from '../ui/time.js';

/** Colour of a state: nothing to see, going on, fine, needs the person. */
export type Tone = 'quiet' | 'busy' | 'good' | 'bad';

export interface ProviderState {
  tone: Tone;
  label: string;
  /** One more sentence; null when the label says it all. */
  note: string | null;
}

const endings: Partial<Record<SessionStatus, string>> = {
  timeout: 'The last attempt ran out of time.',
  cancelled: 'The last attempt was cancelled.',
};

/** Describes the state; `nowMs` decides between a time of day and a date. */
export function describeState(provider: ProviderSummary, nowMs: number): ProviderState {
  if (!provider.available) return { tone: 'quiet', label: 'Not part of this version', note: null };
  const failure = describeFailure(provider);
  switch (provider.state) {
    case 'connecting':
      return { tone: 'busy', label: 'Connecting', note: 'A sign-in is under way.' };
    case 'connected': {
      const since = provider.connectedAt === null ? '' : ` since ${formatMoment(provider.connectedAt, nowMs)}`;
      return { tone: 'good', label: `Connected${since}`, note: failure };
    }
    case 'needs_login':
      return { tone: 'bad', label: 'Needs a new sign-in', note: failure };
    case 'not_connected':
      return { tone: 'quiet', label: 'Not connected', note: failure };
  }
}

function describeFailure({ lastFailure }: ProviderSummary): string | null {
  if (lastFailure === null) return null;
  const ending = endings[lastFailure.status];
  if (ending !== undefined) return ending;
  return `The last attempt failed: ${lastFailure.error?.message ?? 'no reason was recorded.'}`;
}

/** What the card's button does. `open` goes to the session under way. */
export function actionOf(provider: ProviderSummary): { kind: 'start' | 'open'; label: string } {
  if (provider.state === 'connecting' && provider.sessionId !== null) return { kind: 'open', label: 'Continue' };
  const connectedBefore = provider.state === 'connected' || provider.state === 'needs_login';
  return { kind: 'start', label: connectedBefore ? 'Reconnect' : 'Connect' };
}

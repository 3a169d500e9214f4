/** What the page of providers says of each: derived from the user's sessions and credentials. Pure. */
import type { CredentialSummary, ProviderSummary } from '@airlock/contract/api';
import type { Provider } from '@airlock/contract/provider/provider';
import { isFinal, type Session } from '@airlock/contract/session';

/** `sessions`: newest first. */
export function summarize(
  provider: Provider,
  sessions: readonly Session[],
  credentials: readonly CredentialSummary[],
): ProviderSummary {
  const newest = sessions.find((session) => session.provider === provider.id);
  const open = newest && !isFinal(newest.status) ? newest : undefined;
  const active = credentials.find((credential) => credential.provider === provider.id && credential.state === 'active');
  const failed = newest && isFinal(newest.status) && newest.status !== 'completed' ? newest : undefined;
  return {
    id: provider.id,
    name: provider.name,
    vendor: provider.vendor,
    description: provider.description,
    available: provider.login !== null,
    state: open ? 'connecting' : active ? stateOf(active) : 'not_connected',
    sessionId: open?.id ?? null,
    connectedAt: active?.updatedAt ?? null,
    lastFailure: failed ? { sessionId: failed.id, status: failed.status, error: failed.error } : null,
  };
}

const stateOf = ({ health }: CredentialSummary): ProviderSummary['state'] =>
  health === 'needs_login' || health === 'revoked' ? 'needs_login' : 'connected';

/** One provider: what it is, how it stands, and its button. */
import type { ProviderSummary } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import { providers } from '@airlock/contract/provider/registry';
import { Button } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { serverNowMs } from '../api/clock.js';
import { CredentialHealth } from '../credential/credential-health.js';
import { CredentialMenu } from '../credential/credential-menu.js';
import { useCredential } from '../credential/use-credentials.js';
import { useStartSession } from '../session/use-start-session.js';
import { LinkButton } from '../ui/link-button.js';
import { Problem } from '../ui/problem.js';
import { StatusDot } from '../ui/status-dot.js';
import { VaultOwner } from '../user/vault-owner.js';
import styles from './provider-card.module.css';
import { actionOf, describeState } from './provider-state.js';

export function ProviderCard({ provider }: { provider: ProviderSummary }) {
  const { notice } = providers[provider.id];
  const headingId = `name-${provider.id}`;
  return (
    <li
      className={styles.card}
      aria-labelledby={headingId}
      data-testid={`provider-${provider.id}`}
      data-available={provider.available}
      data-state={provider.state}
    >
      <div className={styles.top}>
        <span className={styles.tile} aria-hidden="true">
          {provider.name.slice(0, 2).toLowerCase()}
        </span>
        <div>
          <h2 className={styles.name} id={headingId}>
            {provider.name}
          </h2>
          <p className={styles.vendor}>{provider.vendor}</p>
        </div>
      </div>
      <p className={styles.description}>{provider.description}</p>
      {notice !== undefined && provider.state !== 'connected' && (
        <p className={styles.warning} data-testid={`notice-${provider.id}`}>
          {notice}
        </p>
      )}
      <div className={styles.bottom}>
        {provider.available ? <State provider={provider} /> : <Unavailable provider={provider} />}
      </div>
    </li>
  );
}

function State({ provider }: { provider: ProviderSummary }) {
  const { tone, label, note } = describeState(provider, serverNowMs());
  const isExpiring = useCredential(provider.id).active?.health === 'expiring';
  return (
    <>
      <div aria-live="polite">
        <p className={styles.state}>
          <StatusDot tone={isExpiring ? 'busy' : tone} />
          {label}
        </p>
        {provider.state !== 'connecting' && <CredentialHealth provider={provider.id} />}
        {note !== null && <p className={styles.note}>{note}</p>}
      </div>
      {provider.lastFailure !== null && provider.state !== 'connecting' && (
        <Link
          className={styles.more}
          to="/remote-cli/auth"
          search={{ session: provider.lastFailure.sessionId }}
          aria-label={`What happened in the last attempt to connect ${provider.name}`}
        >
          What happened
        </Link>
      )}
      <div className={styles.owner}>
        <VaultOwner />
      </div>
      <Action provider={provider} />
      <CredentialMenu provider={provider} />
    </>
  );
}

function Action({ provider }: { provider: ProviderSummary }) {
  const start = useStartSession();
  const action = actionOf(provider);
  const common = {
    className: styles.action,
    fullWidth: true,
    'data-testid': `connect-${provider.id}`,
    'aria-label': `${action.label} ${provider.name}`,
  };
  if (action.kind === 'open' && provider.sessionId !== null) {
    return (
      <LinkButton {...common} to="/remote-cli/auth" search={{ session: provider.sessionId }}>
        {action.label}
      </LinkButton>
    );
  }
  return (
    <>
      <Button
        {...common}
        variant={provider.state === 'connected' ? 'default' : 'filled'}
        disabled={provider.state === 'connecting'}
        loading={start.isPending}
        onClick={() => start.mutate(provider.id)}
      >
        {action.label}
      </Button>
      {start.error !== null && (
        <div className={styles.problem}>
          <Problem error={AppError.from(start.error).toBody()} announce />
        </div>
      )}
    </>
  );
}

function Unavailable({ provider }: { provider: ProviderSummary }) {
  return (
    <>
      <span className={styles.badge}>Comes later</span>
      <p className={styles.later}>This version of Airlock cannot sign in to {provider.name} yet.</p>
      <Button className={styles.action} fullWidth disabled data-testid={`connect-${provider.id}`}>
        Connect
      </Button>
    </>
  );
}

/** What can be done with a provider's credential besides connecting: its health, a check, an API key, removal. */
import type { CredentialSummary, ProviderSummary } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import { providers } from '@airlock/contract/provider/registry';
import { Button, Menu, Modal } from '@mantine/core';
import { useState } from 'react';
import { serverNowMs } from '../api/clock.js';
import { Problem } from '../ui/problem.js';
import { StatusDot } from '../ui/status-dot.js';
import { ApiKeyForm } from './api-key-form.js';
import styles from './credential.module.css';
import { describeHealth } from './health.js';
import { useCredentialActions, useCredentials } from './use-credentials.js';

type Asking = 'remove' | 'api-key' | null;

export function CredentialMenu({ provider }: { provider: ProviderSummary }) {
  const credentials = useCredentials().data ?? [];
  const mine = credentials.find((one) => one.provider === provider.id);
  const { check } = useCredentialActions(provider.id);
  const [asking, setAsking] = useState<Asking>(null);
  const takesKey = (providers[provider.id].login?.apiKey ?? null) !== null;
  const error = check.error === null ? (mine?.error ?? null) : AppError.from(check.error).toBody();
  return (
    <div className={styles.credential}>
      {mine && <HealthBadge credential={mine} isChecking={check.isPending} />}
      {(mine || takesKey) && (
        <Menu position="bottom-end" shadow="md">
          <Menu.Target>
            <Button variant="subtle" size="compact-sm" data-testid={`credential-menu-${provider.id}`}>
              More
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            {mine?.state === 'active' && (
              <Menu.Item onClick={() => check.mutate()} disabled={check.isPending}>
                Check now
              </Menu.Item>
            )}
            {takesKey && <Menu.Item onClick={() => setAsking('api-key')}>Use an API key</Menu.Item>}
            {mine?.state === 'active' && (
              <Menu.Item color="red" onClick={() => setAsking('remove')}>
                Remove
              </Menu.Item>
            )}
          </Menu.Dropdown>
        </Menu>
      )}
      {error !== null && (
        <div className={styles.problem}>
          <Problem error={error} />
        </div>
      )}
      <RemoveDialog provider={provider} opened={asking === 'remove'} onClose={() => setAsking(null)} />
      <Modal opened={asking === 'api-key'} onClose={() => setAsking(null)} title={`Connect ${provider.name}`} centered>
        <ApiKeyForm provider={provider.id} vendor={provider.vendor} onTaken={() => setAsking(null)} />
      </Modal>
    </div>
  );
}

function HealthBadge({ credential, isChecking }: { credential: CredentialSummary; isChecking: boolean }) {
  const { tone, label, note } = describeHealth(credential, serverNowMs());
  return (
    <p className={styles.health} data-testid={`health-${credential.provider}`} data-health={credential.health}>
      <StatusDot tone={isChecking ? 'busy' : tone} />
      <span title={note ?? undefined}>{isChecking ? 'Checking with the CLI' : label}</span>
    </p>
  );
}

interface RemoveDialogProps {
  provider: ProviderSummary;
  opened: boolean;
  onClose(): void;
}

function RemoveDialog({ provider, opened, onClose }: RemoveDialogProps) {
  const { remove } = useCredentialActions(provider.id);
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title={`Remove ${provider.name}?`}
      centered
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <p className={styles.text}>
        The login is removed from the vault and from your CLI machine, whose other files stay. {provider.vendor} is not
        told: to end the login everywhere, do that in your account there.
      </p>
      {remove.error !== null && (
        <div className={styles.problem}>
          <Problem error={AppError.from(remove.error).toBody()} announce />
        </div>
      )}
      <div className={styles.actions}>
        <Button variant="default" onClick={onClose} data-autofocus>
          Keep it
        </Button>
        <Button
          color="red"
          loading={remove.isPending}
          onClick={() => remove.mutate(undefined, { onSuccess: onClose })}
          data-testid={`remove-confirm-${provider.id}`}
        >
          Remove
        </Button>
      </div>
    </Modal>
  );
}

/** What can be done with a provider's credential besides connecting: a check, an API key, removal. */
import type { ProviderSummary } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import { providers } from '@airlock/contract/provider/registry';
import { Button, Menu } from '@mantine/core';
import { useState } from 'react';
import { Dialog } from '../ui/dialog.js';
import { Problem } from '../ui/problem.js';
import { ApiKeyForm } from './api-key-form.js';
import styles from './credential.module.css';
import { useCredential, useCredentialActions } from './use-credentials.js';

type Asking = 'remove' | 'api-key' | null;

export function CredentialMenu({ provider }: { provider: ProviderSummary }) {
  const { newest, active } = useCredential(provider.id);
  const { check } = useCredentialActions(provider.id);
  const [asking, setAsking] = useState<Asking>(null);
  const takesKey = (providers[provider.id].login?.apiKey ?? null) !== null;
  const error = check.error === null ? (newest?.error ?? active?.error ?? null) : AppError.from(check.error).toBody();
  const close = () => setAsking(null);
  const quiet = { variant: 'subtle', size: 'compact-sm' } as const;
  return (
    <div className={styles.actionRow}>
      {active && (
        <Button
          {...quiet}
          loading={check.isPending}
          onClick={() => check.mutate()}
          data-testid={`check-${provider.id}`}
        >
          Check now
        </Button>
      )}
      {!active && takesKey && (
        <Button {...quiet} onClick={() => setAsking('api-key')}>
          Use an API key
        </Button>
      )}
      {active && (
        <Menu position="bottom-end" shadow="md">
          <Menu.Target>
            <Button {...quiet} data-testid={`credential-menu-${provider.id}`} aria-label={`More for ${provider.name}`}>
              More
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            {takesKey && <Menu.Item onClick={() => setAsking('api-key')}>Use an API key</Menu.Item>}
            <Menu.Item color="red" onClick={() => setAsking('remove')}>
              Remove
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
      )}
      {error !== null && (
        <div className={styles.problem}>
          <Problem error={error} announce={check.error !== null} />
        </div>
      )}
      <RemoveDialog provider={provider} opened={asking === 'remove'} onClose={close} />
      <Dialog opened={asking === 'api-key'} onClose={close} title={`Connect ${provider.name} with an API key`}>
        <ApiKeyForm provider={providers[provider.id]} focus onTaken={close} />
      </Dialog>
    </div>
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
    <Dialog opened={opened} onClose={onClose} title={`Remove ${provider.name}?`}>
      <p className={styles.text}>
        The login is removed from the vault and from your CLI VM, whose other files stay. {provider.vendor} is not told:
        to end the login everywhere, do that in your account there.
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
    </Dialog>
  );
}

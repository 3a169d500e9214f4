/** Takes an API key. It goes to the controller once, is kept nowhere in the page, and is not shown while it is typed. */
import type { ProviderId } from '@airlock/contract/provider/provider';
import { AppError } from '@airlock/contract/errors';
import { Button, PasswordInput } from '@mantine/core';
import { useState, type FormEvent } from 'react';
import { Problem } from '../ui/problem.js';
import styles from './credential.module.css';
import { useCredentialActions } from './use-credentials.js';

interface ApiKeyFormProps {
  provider: ProviderId;
  /** Name of the provider's vendor, for the label. */
  vendor: string;
  /** The key was taken; the CLI is asked in the background. */
  onTaken(): void;
}

export function ApiKeyForm({ provider, vendor, onTaken }: ApiKeyFormProps) {
  const { setApiKey } = useCredentialActions(provider);
  const [key, setKey] = useState('');
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    setApiKey.mutate(key.trim(), {
      onSuccess: () => {
        setKey('');
        onTaken();
      },
    });
  };
  return (
    <form onSubmit={submit} data-testid={`api-key-form-${provider}`}>
      <PasswordInput
        label={`API key of ${vendor}`}
        description="It is sealed in the vault, and used once the CLI in your CLI machine accepts it."
        value={key}
        onChange={(event) => setKey(event.currentTarget.value)}
        autoComplete="off"
        spellCheck={false}
        data-autofocus
      />
      {setApiKey.error !== null && (
        <div className={styles.problem}>
          <Problem error={AppError.from(setApiKey.error).toBody()} announce />
        </div>
      )}
      <div className={styles.actions}>
        <Button type="submit" loading={setApiKey.isPending} disabled={key.trim().length < 8}>
          Use this key
        </Button>
      </div>
    </form>
  );
}

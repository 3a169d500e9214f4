/** Takes an API key. It goes to the controller once, is kept nowhere in the page, and is not shown while it is typed. */
import type { Provider } from '@airlock/contract/provider/provider';
import { AppError } from '@airlock/contract/errors';
import { Button } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useId, useState, type FormEvent } from 'react';
import fields from '../ui/field.module.css';
import { Problem } from '../ui/problem.js';
import { VaultOwner } from '../user/vault-owner.js';
import styles from './credential.module.css';
import { useCredentialActions } from './use-credentials.js';

interface ApiKeyFormProps {
  provider: Provider;
  /** What must have happened before the key is handed in; when it rejects, the key stays here. */
  before?: () => Promise<void>;
  /** The field has the focus as soon as it is there. */
  focus?: boolean;
  /** The key was taken; the CLI is asked in the background. */
  onTaken(): void;
}

export function ApiKeyForm({ provider, before, focus, onTaken }: ApiKeyFormProps) {
  const { setApiKey } = useCredentialActions(provider.id);
  const [key, setKey] = useState('');
  const fieldId = useId();
  const noteId = useId();
  const use = useMutation({
    mutationFn: async () => {
      await before?.();
      await setApiKey.mutateAsync(key.trim());
    },
    onSuccess: () => {
      setKey('');
      onTaken();
    },
  });
  const looksWhole = provider.login?.apiKey?.key.test(key.trim()) ?? false;
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    use.mutate();
  };
  return (
    <form onSubmit={submit} data-testid={`api-key-form-${provider.id}`}>
      <div className={styles.owner}>
        <VaultOwner />
      </div>
      <label htmlFor={fieldId}>API key of {provider.vendor}</label>
      <div className={fields.row}>
        <input
          id={fieldId}
          type="password"
          className={fields.field}
          value={key}
          onChange={(event) => setKey(event.currentTarget.value)}
          aria-describedby={noteId}
          autoComplete="off"
          spellCheck={false}
          data-autofocus={focus}
          data-testid="api-key"
        />
        <Button size="sm" type="submit" disabled={!looksWhole} loading={use.isPending}>
          Use this key
        </Button>
      </div>
      <p id={noteId} className={styles.fieldNote}>
        {key === '' || looksWhole
          ? 'It is sealed in the vault, and used once the CLI in your CLI VM accepts it.'
          : 'This does not look like a whole API key.'}
      </p>
      {use.error !== null && (
        <div className={styles.problem}>
          <Problem error={AppError.from(use.error).toBody()} announce />
        </div>
      )}
    </form>
  );
}

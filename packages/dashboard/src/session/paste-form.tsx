/** What the provider's page gives a person at its end, on its way to the CLI. */
import type { Session } from '@airlock/contract/session';
import { AppError } from '@airlock/contract/errors';
import { Button } from '@mantine/core';
import { useState, type FormEvent } from 'react';
import fields from '../ui/field.module.css';
import { Problem } from '../ui/problem.js';
import styles from './assistance.module.css';
import { useSessionAction } from './use-session-action.js';

interface PasteFormProps {
  session: Session;
  label: string;
  /** On the button. */
  action: string;
}

export function PasteForm({ session, label, action }: PasteFormProps) {
  const [code, setCode] = useState('');
  const send = useSessionAction(session.id, (api, text: string) => api.typeCode(session.id, text));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    send.mutate(code.trim(), { onSuccess: () => setCode('') });
  };
  return (
    <form className={styles.words} onSubmit={submit}>
      <label className={styles.reason} htmlFor="pasted-code">
        {label}
      </label>
      <div className={fields.row}>
        <input
          id="pasted-code"
          className={fields.field}
          value={code}
          onChange={(event) => setCode(event.target.value)}
          autoComplete="off"
          spellCheck={false}
          maxLength={4096}
        />
        <Button size="sm" type="submit" disabled={code.trim() === ''} loading={send.isPending}>
          {action}
        </Button>
      </div>
      {send.error !== null && <Problem error={AppError.from(send.error).toBody()} announce />}
    </form>
  );
}

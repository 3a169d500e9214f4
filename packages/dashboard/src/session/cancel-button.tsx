/** Cancels a sign-in, after asking. */
import { AppError } from '@airlock/contract/errors';
import { Button } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useApi } from '../api/api-context.js';
import { Dialog } from '../ui/dialog.js';
import { Problem } from '../ui/problem.js';
import styles from './cancel-button.module.css';

interface CancelButtonProps {
  sessionId: string;
  providerName: string;
}

export function CancelButton({ sessionId, providerName }: CancelButtonProps) {
  const [asking, setAsking] = useState(false);
  const cancel = useCancel(sessionId);
  return (
    <>
      <Button size="xs" variant="default" onClick={() => setAsking(true)} data-testid="cancel">
        Cancel
      </Button>
      <Dialog opened={asking} onClose={() => setAsking(false)} title={`Cancel connecting ${providerName}?`}>
        <p className={styles.text}>
          The private computer and everything on it is destroyed. You can start again at any time.
        </p>
        {cancel.error !== null && (
          <div className={styles.problem}>
            <Problem error={AppError.from(cancel.error).toBody()} announce />
          </div>
        )}
        <div className={styles.actions}>
          <Button variant="default" onClick={() => setAsking(false)} data-autofocus>
            Keep going
          </Button>
          <Button color="red" loading={cancel.isPending} onClick={() => cancel.mutate()} data-testid="cancel-confirm">
            Cancel the sign-in
          </Button>
        </div>
      </Dialog>
    </>
  );
}

function useCancel(sessionId: string) {
  const api = useApi();
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: () => api.cancelSession(sessionId),
    onSuccess: (session) => queryClient.setQueryData(['session', sessionId], session),
    // `session_finished`: it ended while the question was open; show how.
    onError: () => queryClient.invalidateQueries({ queryKey: ['session', sessionId] }),
  });
}

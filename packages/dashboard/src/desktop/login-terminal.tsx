/** The terminal of the login, to read: what the CLI says while a person signs in. */
import { AppError } from '@airlock/contract/errors';
import { useQuery } from '@tanstack/react-query';
import { Button } from '@mantine/core';
import { lazy, Suspense, useEffect, useRef } from 'react';
import { useApi } from '../api/api-context.js';
import styles from './desktop.module.css';

const TerminalView = lazy(async () => ({ default: (await import('./terminal-view.js')).TerminalView }));
/** Milliseconds between two looks. */
const everyMs = 1000;

export function LoginTerminal({ sessionId, onClose }: { sessionId: string; onClose: () => void }) {
  const api = useApi();
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => button.current?.focus(), []);
  const { data, error } = useQuery({
    queryKey: ['login-terminal', sessionId],
    queryFn: ({ signal }) => api.loginTerminal(sessionId, signal),
    refetchInterval: everyMs,
    gcTime: 0,
    retry: false,
  });
  return (
    <>
      <div className={styles.panelHead}>
        <h2 className={styles.label}>CLI output</h2>
        <Button ref={button} size="xs" variant="default" onClick={onClose}>
          Close
        </Button>
      </div>
      <p className={styles.note}>What the CLI of this sign-in says, without secrets. Only to read.</p>
      {data?.lines.length === 0 && <p className={styles.note}>It has not said anything yet.</p>}
      {data !== undefined && data.lines.length > 0 && (
        <Suspense fallback={null}>
          <TerminalView columns={data.columns} lines={data.lines} />
        </Suspense>
      )}
      {data === undefined && error !== null && <p className={styles.note}>{AppError.from(error).message}</p>}
    </>
  );
}

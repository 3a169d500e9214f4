/** "Something not working?": the ladder of ways to sign in, each with the reason to take it. */
import type { Provider } from '@airlock/contract/provider/provider';
import type { Session } from '@airlock/contract/session';
import { AppError } from '@airlock/contract/errors';
import { Button, Modal } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState, type FormEvent, type ReactNode } from 'react';
import { useApi } from '../api/api-context.js';
import { Problem } from '../ui/problem.js';
import fields from './assistance.module.css';
import styles from './other-ways.module.css';
import { useSessionAction } from './use-session-action.js';

interface OtherWaysProps {
  session: Session;
  provider: Provider;
  opened: boolean;
  onClose: () => void;
}

export function OtherWays({ session, provider, opened, onClose }: OtherWaysProps) {
  const restart = useSessionAction(session.id, (api, method: 'browser' | 'device_code') =>
    api.restartLogin(session.id, method),
  );
  const begin = (method: 'browser' | 'device_code') => restart.mutate(method, { onSuccess: onClose });
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title="Something not working?"
      centered
      radius={14}
      styles={{ title: { fontWeight: 600, fontSize: 17 } }}
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      {session.notice !== null && (
        <p className={styles.notice} data-testid="ladder-reason">
          Last try: {session.notice.message}
        </p>
      )}
      <ol className={styles.ladder} data-testid="ladder">
        <Rung
          title="Start again in the desktop"
          reason="The page is stuck, was closed, or you refused by mistake. Your private computer stays as it is."
        >
          <Button size="xs" loading={restart.isPending} onClick={() => begin('browser')} data-testid="rung-browser">
            Start again
          </Button>
        </Rung>
        {provider.login?.deviceCode && (
          <Rung
            title="Use a code on another device"
            reason={`${provider.vendor} wants a passkey or a security key, refuses this browser, or you prefer your own device.`}
          >
            <Button
              size="xs"
              variant="default"
              loading={restart.isPending}
              onClick={() => begin('device_code')}
              data-testid="rung-device-code"
            >
              Get a code
            </Button>
          </Rung>
        )}
        {provider.login?.pasteCode && (
          <Rung
            title="Paste a code"
            reason={`The page of ${provider.vendor} ends with a code instead of going on. As soon as ${provider.name} asks for it, a field for it appears above the desktop.`}
          />
        )}
        {provider.login?.apiKey && (
          <Rung
            title="Use an API key"
            reason={`You cannot sign in at all, but have a key of ${provider.vendor}. Use is then billed to that key. This sign-in is ended first.`}
          >
            <ApiKey session={session} provider={provider} />
          </Rung>
        )}
      </ol>
      {restart.error !== null && <Problem error={AppError.from(restart.error).toBody()} announce />}
    </Modal>
  );
}

function Rung({ title, reason, children }: { title: string; reason: string; children?: ReactNode }) {
  return (
    <li>
      <h3 className={styles.title}>{title}</h3>
      <p className={styles.reason}>{reason}</p>
      {children}
    </li>
  );
}

function ApiKey({ session, provider }: Pick<OtherWaysProps, 'session' | 'provider'>) {
  const [key, setKey] = useState('');
  const api = useApi();
  const navigate = useNavigate();
  const queryClient = useQueryClient();
  const looksRight = provider.login?.apiKey?.key.test(key.trim()) ?? false;
  const use = useMutation({
    mutationFn: async () => {
      // Only one of the two may be under way. Cancelled already, by an earlier try: go on.
      await api.cancelSession(session.id).catch((error: unknown) => {
        if (AppError.from(error).code !== 'session_finished') throw error;
      });
      await api.setApiKey(provider.id, key.trim());
    },
    onSuccess: () => navigate({ to: '/remote-cli' }),
    onSettled: () => queryClient.invalidateQueries({ queryKey: ['providers'] }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    use.mutate();
  };
  return (
    <form onSubmit={submit}>
      <div className={fields.row}>
        <input
          type="password"
          className={fields.field}
          aria-label={`API key of ${provider.vendor}`}
          placeholder="API key"
          value={key}
          onChange={(event) => setKey(event.target.value)}
          autoComplete="off"
          spellCheck={false}
          data-testid="api-key"
        />
        <Button size="sm" variant="default" type="submit" disabled={!looksRight} loading={use.isPending}>
          Use it
        </Button>
      </div>
      {key !== '' && !looksRight && <p className={styles.reason}>This does not look like a whole API key.</p>}
      {use.error !== null && <Problem error={AppError.from(use.error).toBody()} announce />}
    </form>
  );
}

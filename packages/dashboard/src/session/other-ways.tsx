/** "Something not working?": the ladder of ways to sign in, each with the reason to take it. */
import type { LoginMethod } from '@airlock/contract/guest';
import type { Provider } from '@airlock/contract/provider/provider';
import type { Session } from '@airlock/contract/session';
import { AppError } from '@airlock/contract/errors';
import { Button } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { useApi } from '../api/api-context.js';
import { ApiKeyForm } from '../credential/api-key-form.js';
import { Dialog } from '../ui/dialog.js';
import { Problem } from '../ui/problem.js';
import styles from './other-ways.module.css';
import { useSessionAction } from './use-session-action.js';

interface OtherWaysProps {
  session: Session;
  provider: Provider;
  opened: boolean;
  onClose: () => void;
}

interface Way {
  method: LoginMethod;
  title: string;
  reason: string;
  /** On its button. */
  action: string;
}

/** The ways in which the login can begin anew with this CLI. */
function restarts({ login, vendor }: Provider): Way[] {
  const ways: (Way | null | undefined | false)[] = [
    {
      method: 'browser',
      title: 'Start again in the desktop',
      reason: 'The page is stuck, was closed, or you refused by mistake. Your private computer stays as it is.',
      action: 'Start again',
    },
    login?.deviceCode && {
      method: 'device_code',
      title: 'Use a code on another device',
      reason: `${vendor} wants a passkey or a security key, refuses this browser, or you prefer your own device.`,
      action: 'Get a code',
    },
    login?.callback && {
      method: 'callback',
      title: 'Use your own browser',
      reason: `Your passkey is on this device, or ${vendor} lets you in on a managed device only. You sign in there, and paste the address at which that ends.`,
      action: 'Get the page',
    },
  ];
  return ways.filter((way) => !!way);
}

export function OtherWays({ session, provider, opened, onClose }: OtherWaysProps) {
  const restart = useSessionAction(session.id, (api, method: LoginMethod) => api.restartLogin(session.id, method));
  return (
    <Dialog opened={opened} onClose={onClose} title="Something not working?">
      {session.notice !== null && (
        <p className={styles.notice} data-testid="ladder-reason">
          Last try: {session.notice.message}
        </p>
      )}
      <ol className={styles.ladder} data-testid="ladder">
        {restarts(provider).map(({ method, title, reason, action }) => (
          <Rung key={method} title={title} reason={reason}>
            <Button
              size="xs"
              variant={method === 'browser' ? 'filled' : 'default'}
              loading={restart.isPending}
              onClick={() => restart.mutate(method, { onSuccess: onClose })}
              data-testid={`rung-${method.replace('_', '-')}`}
            >
              {action}
            </Button>
          </Rung>
        ))}
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
    </Dialog>
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
  const api = useApi();
  const navigate = useNavigate();
  // Only one of the two may be under way. Cancelled already, by an earlier try: go on.
  const endSession = async (): Promise<void> => {
    await api.cancelSession(session.id).catch((error: unknown) => {
      if (AppError.from(error).code !== 'session_finished') throw error;
    });
  };
  return <ApiKeyForm provider={provider} before={endSession} onTaken={() => void navigate({ to: '/remote-cli' })} />;
}

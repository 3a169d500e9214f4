/** The time that the person has left, and more of it while there is more to have. */
import type { Session } from '@airlock/contract/session';
import { Button } from '@mantine/core';
import { formatCountdown } from '../ui/time.js';
import { useNow } from '../ui/use-now.js';
import styles from './countdown.module.css';
import { canExtend, isUrgent, remainingMs } from './guidance.js';
import { useSessionAction } from './use-session-action.js';

export function Countdown({ session }: { session: Session }) {
  const extend = useSessionAction(session.id, (api) => api.extendSession(session.id));
  const remaining = remainingMs(session, useNow(session.expiresAt !== null));
  if (remaining === null) return null;
  const urgent = isUrgent(remaining);
  return (
    <span className={styles.group}>
      <span
        className={styles.countdown}
        role="timer"
        data-testid="countdown"
        data-urgent={urgent}
        title="Time left to sign in. Using the desktop prolongs it."
      >
        <span className={styles.label}>Time left</span> {formatCountdown(remaining)}
      </span>
      {canExtend(session) && (
        <Button
          size="xs"
          variant={urgent ? 'filled' : 'default'}
          loading={extend.isPending}
          onClick={() => extend.mutate(undefined)}
          data-testid="extend"
        >
          Extend
        </Button>
      )}
      {urgent && (
        <span className={styles.warning} role="alert" data-testid="last-minute">
          {canExtend(session)
            ? 'Less than a minute left. Press Extend for more time.'
            : 'Less than a minute left, and no more time can be given.'}
        </span>
      )}
    </span>
  );
}

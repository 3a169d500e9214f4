/** The time that the person has left. */
import type { Session } from '@airlock/contract/session';
import { formatCountdown } from '../ui/time.js';
import { useNow } from '../ui/use-now.js';
import styles from './countdown.module.css';
import { isUrgent, remainingMs } from './guidance.js';

export function Countdown({ session }: { session: Session }) {
  const remaining = remainingMs(session, useNow(session.expiresAt !== null));
  if (remaining === null) return null;
  return (
    <span
      className={styles.countdown}
      role="timer"
      data-testid="countdown"
      data-urgent={isUrgent(remaining)}
      title="Time left to sign in"
    >
      <span className={styles.label}>Time left</span> {formatCountdown(remaining)}
    </span>
  );
}

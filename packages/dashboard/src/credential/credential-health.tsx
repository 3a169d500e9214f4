/** How a stored credential is, by the CLI's own word, and when the CLI was last asked. */
import type { ProviderId } from '@airlock/contract/provider/provider';
import { serverNowMs } from '../api/clock.js';
import styles from './credential.module.css';
import { describeHealth } from './health.js';
import { useCredential } from './use-credentials.js';

export function CredentialHealth({ provider }: { provider: ProviderId }) {
  const { newest } = useCredential(provider);
  if (newest === undefined) return null;
  const { facts, note } = describeHealth(newest, serverNowMs());
  const health = newest.state === 'active' ? newest.health : newest.state;
  return (
    <div className={styles.health} data-testid={`health-${provider}`} data-health={health}>
      <p>{facts.join(' · ')}</p>
      {note !== null && <p>{note}</p>}
    </div>
  );
}

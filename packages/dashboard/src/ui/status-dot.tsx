/** A coloured dot beside a status word; never the only sign of it. */
import styles from './status-dot.module.css';

export function StatusDot({ tone }: { tone: 'quiet' | 'busy' | 'good' | 'bad' }) {
  return <span className={styles.dot} data-tone={tone} aria-hidden="true" />;
}

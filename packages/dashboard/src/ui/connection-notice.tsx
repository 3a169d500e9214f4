/** Says that what the page shows may be old, without taking it away. */
import styles from './connection-notice.module.css';

export function ConnectionNotice({ lost }: { lost: boolean }) {
  return (
    <div aria-live="polite">
      {lost && (
        <div className={styles.notice} data-testid="connection-lost">
          <span className={styles.dot} />
          Connection to Airlock lost, retrying…
        </div>
      )}
    </div>
  );
}

/** An error as a person sees it: what happened, what to do next, and its code for whoever helps. */
import type { ErrorBody } from '@airlock/contract/errors';
import styles from './problem.module.css';

/** `announce` reads it out at once: for errors that follow an action. */
export function Problem({ error, announce = false }: { error: ErrorBody; announce?: boolean }) {
  return (
    <div className={styles.problem} role={announce ? 'alert' : undefined}>
      <p className={styles.message}>{error.message}</p>
      {error.hint !== '' && <p className={styles.hint}>{error.hint}</p>}
      <p className={styles.code}>
        Error code <code>{error.code}</code>
      </p>
      <Details details={error.details} />
    </div>
  );
}

function Details({ details }: { details: ErrorBody['details'] }) {
  if (details === undefined || Object.keys(details).length === 0) return null;
  const text = Object.entries(details)
    .map(([name, value]) => `${name}: ${typeof value === 'string' ? value : JSON.stringify(value, null, 2)}`)
    .join('\n');
  return (
    <details className={styles.details}>
      <summary>Technical details</summary>
      <pre>{text}</pre>
    </details>
  );
}

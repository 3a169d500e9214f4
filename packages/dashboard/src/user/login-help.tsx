/** How to get a login link. Who reads this is not signed in: most can only ask; the command is for whoever runs Airlock. */
import styles from './login-page.module.css';

export function LoginHelp() {
  return (
    <>
      <p>Ask whoever runs this Airlock for a login link, and open it in this browser.</p>
      <details className={styles.operator}>
        <summary>I run this Airlock</summary>
        <p>On its host, this prints a link for you:</p>
        <code className={styles.command}>
          <span className={styles.prompt}>$ </span>npx airlock login-url
        </code>
        <p>
          For somebody else, add <code>--user</code> and the name.
        </p>
      </details>
    </>
  );
}

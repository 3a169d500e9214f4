/** Signing in from the person's own browser: the CLI's page, what happens at its end, and the field for the address there. */
import { callbackOf } from '@airlock/contract/provider/callback';
import type { Provider } from '@airlock/contract/provider/provider';
import type { Session } from '@airlock/contract/session';
import { CopyButton } from '../ui/copy-button.js';
import styles from './assistance.module.css';
import { NoOwnPage } from './no-own-page.js';
import { PasteForm } from './paste-form.js';

export function OwnBrowser({ session, provider, page }: { session: Session; provider: Provider; page: string }) {
  const callback = callbackOf(page);
  if (callback === null) return <NoOwnPage provider={provider} />;
  return (
    <section className={styles.strip} aria-label="Sign in with your own browser" data-testid="own-browser">
      <div className={styles.words}>
        <p className={styles.reason}>
          {session.notice === null
            ? `You chose to sign in to ${provider.vendor} with your own browser, with its passkeys and on its device.`
            : `Signing in with your own browser now, because: ${session.notice.message}`}
        </p>
        <ol className={styles.list}>
          <li>
            <a href={page} target="_blank" rel="noreferrer" data-testid="callback-page">
              Open the page of {provider.vendor}
            </a>{' '}
            <CopyButton text={page} what="the address" /> and sign in there
          </li>
          <li>
            Your browser then says that it cannot open <strong>{callback.redirectUri.host}</strong>: that is as it
            should be
          </li>
        </ol>
        <PasteForm
          session={session}
          label={`Copy the whole address from its address bar, and paste it here: it goes straight to ${provider.name}, and is kept nowhere.`}
          action="Send the address"
        />
        <p className={styles.note}>
          Use only the page that you see here, never one, or an address, that somebody sends you.
        </p>
      </div>
    </section>
  );
}

/** /remote-cli: every provider as a card, with its state and the button that connects it. */
import { AppError } from '@airlock/contract/errors';
import { TryIt } from '../prompt/try-it.js';
import { ConnectionNotice } from '../ui/connection-notice.js';
import { Page } from '../ui/page.js';
import { Problem } from '../ui/problem.js';
import { useTitle } from '../ui/use-title.js';
import { OwnVm } from '../vm/own-vm.js';
import { ProviderCard } from './provider-card.js';
import styles from './providers-page.module.css';
import { useProviders } from './use-providers.js';

export function ProvidersPage() {
  const { data: providers, error, failureReason } = useProviders();
  useTitle('Your CLIs');
  return (
    <Page title="Your CLIs" lead="Connect a coding CLI once. It then runs in your own VM here, signed in as you.">
      {providers === undefined && error !== null ? (
        <Problem error={AppError.from(error).toBody()} announce />
      ) : (
        <ul className={styles.grid}>
          {providers === undefined
            ? ['a', 'b', 'c'].map((key) => <li key={key} className={styles.placeholder} aria-hidden="true" />)
            : providers.map((provider) => <ProviderCard key={provider.id} provider={provider} />)}
        </ul>
      )}
      <TryIt />
      <OwnVm />
      <HowItWorks />
      <ConnectionNotice lost={providers !== undefined && (error ?? failureReason) !== null} />
    </Page>
  );
}

function HowItWorks() {
  return (
    <section className={styles.how}>
      <h2>What happens when you connect</h2>
      <ol>
        <li>
          <div>
            <strong>A private computer starts</strong>
            It exists for this one sign-in, with a browser and a terminal, and appears on this page.
          </div>
        </li>
        <li>
          <div>
            <strong>You sign in there</strong>
            On the provider’s own page, started by the CLI itself. There is nothing to copy.
          </div>
        </li>
        <li>
          <div>
            <strong>Your CLI VM takes over</strong>
            The credential is sealed and handed to it. The private computer is destroyed.
          </div>
        </li>
      </ol>
    </section>
  );
}

import type { Provider } from '@airlock/contract/provider/provider';
import styles from './assistance.module.css';

/** In the place of a link that leads elsewhere than to the provider. */
export const NoOwnPage = ({ provider }: { provider: Provider }) => (
  <p className={styles.reason}>The VM shows an address that is no page of {provider.vendor}.</p>
);

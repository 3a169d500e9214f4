/**
 * Whose vault a credential goes to: shown wherever somebody is about to give one, so that nobody fills the vault of somebody else
 * unawares.
 */
import { useMe } from './me.js';
import styles from './vault-owner.module.css';

export function VaultOwner() {
  const { name } = useMe();
  return (
    <p className={styles.owner} data-testid="vault-owner">
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <rect x="2.75" y="7" width="10.5" height="7.25" rx="1.75" />
        <path d="M5 7V4.75a3 3 0 0 1 6 0V7" />
      </svg>
      <span>
        Goes to the vault of <strong>{name}</strong>
      </span>
    </p>
  );
}

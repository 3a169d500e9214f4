/** The product's name and mark: a round hatch that stands open. */
import styles from './brand.module.css';

export function BrandMark() {
  return (
    <svg className={styles.mark} viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="#0b6e6a" />
      <circle
        cx="16"
        cy="16"
        r="9"
        fill="none"
        stroke="#fff"
        strokeWidth="2.5"
        strokeDasharray="44 12.55"
        strokeDashoffset="-6.3"
        strokeLinecap="round"
      />
      <circle cx="16" cy="16" r="3.25" fill="#fff" />
    </svg>
  );
}

export function Brand() {
  return (
    <span className={styles.brand}>
      <BrandMark />
      Airlock
    </span>
  );
}

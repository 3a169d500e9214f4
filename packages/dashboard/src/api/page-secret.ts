/**
 * The page secret of this browser's sign-in. The cookie reaches every port of the host; this lies in the storage of one origin, and
 * goes beside the cookie as a header. All tabs of the origin share it.
 */
import { withStorage } from '../ui/storage.js';

const key = 'airlock.page';

/** As it was when this page came to know of it: a page that shows one person never calls as another who signs in beside it. */
let secret = kept();

export const pageSecret = (): string | null => secret;

/** After signing in, or with null after signing out; other tabs notice. */
export function keepPageSecret(next: string | null): void {
  secret = next;
  withStorage((storage) => (next === null ? storage.removeItem(key) : storage.setItem(key, next)));
}

/** Takes over what another tab has kept. */
export function adoptPageSecret(): void {
  secret = kept();
}

/** `onChange` is called when another tab has signed in or out. */
export function watchOtherTabs(onChange: () => void): void {
  window.addEventListener('storage', (event) => {
    if (event.key === key || event.key === null) onChange();
  });
}

function kept(): string | null {
  return withStorage((storage) => storage.getItem(key)) ?? null;
}

/** What this browser keeps for the page. */

/** Some browsers keep nothing for a page: then there is nothing, and what is put there is gone with the page. */
export function withStorage<T>(work: (storage: Storage) => T): T | undefined {
  try {
    return work(localStorage);
  } catch {
    return undefined;
  }
}

/** How long to wait before trying again. */

/** Milliseconds before the try that follows `failures` failures in a row: 0.5 s, 1 s, 2 s … at most 8 s. */
export function backoffMs(failures: number): number {
  return Math.min(8000, 500 * 2 ** Math.max(0, failures - 1));
}

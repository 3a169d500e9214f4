/**
 * The server's clock as seen from this page. Countdowns compare server times with it, so that a viewer whose own
 * clock is wrong still sees the right number of minutes.
 */
let offsetMs = 0;

/** Smaller differences are the resolution of the Date header and the time on the wire. */
const toleranceMs = 2000;

/** Learns from the `Date` header of an answer. */
export function noteServerDate(header: string | null): void {
  const serverMs = header === null ? Number.NaN : Date.parse(header);
  if (Number.isNaN(serverMs)) return;
  const differenceMs = serverMs - Date.now();
  offsetMs = Math.abs(differenceMs) > toleranceMs ? differenceMs : 0;
}

/** Now, Unix epoch milliseconds, by the server's clock. */
export const serverNowMs = (): number => Date.now() + offsetMs;

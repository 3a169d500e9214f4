/** The wish to stop, and how long the guest may take to end by itself. A later request can only shorten the grace. */

export interface StopSwitch {
  /** Aborted at the first request. */
  readonly requested: AbortSignal;
  /** Aborted when the grace is over. */
  readonly expired: AbortSignal;
  request(graceMs: number): void;
}

/** A switch that nobody has touched. */
export function createStopSwitch(): StopSwitch {
  const requested = new AbortController();
  const expired = new AbortController();
  let deadline = Infinity;
  let timer: NodeJS.Timeout | undefined;
  return {
    requested: requested.signal,
    expired: expired.signal,
    request(graceMs) {
      const wanted = performance.now() + graceMs;
      if (wanted < deadline) {
        deadline = wanted;
        clearTimeout(timer);
        if (graceMs === 0) expired.abort();
        else timer = setTimeout(() => expired.abort(), graceMs).unref();
      }
      requested.abort();
    },
  };
}

/** How long to wait before trying again. */

/** Milliseconds before the try that follows `failures` failures in a row: 0.5 s, 1 s, 2 s … at most 8 s. */
export function backoffMs(failures: number): number {
  return Math.min(8000, 500 * 2 ** Math.max(0, failures - 1));
}

/** Resolves after this time, or at once when it is aborted. */
export function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, durationMs);
    signal.addEventListener('abort', end);
  });
}

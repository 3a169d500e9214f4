/** Ctrl-C and its relatives as an AbortSignal. */

const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Runs `work` with a signal that fires at the first of SIGINT, SIGTERM, SIGHUP; more of them change nothing. */
export async function untilInterrupted<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  const fire = (): void => abort.abort();
  for (const name of names) process.on(name, fire);
  try {
    return await work(abort.signal);
  } finally {
    for (const name of names) process.off(name, fire);
  }
}

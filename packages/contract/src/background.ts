/** Work that nobody waits for has an owner all the same: whatever it fails with is logged, and ends nobody else's work. */

export interface Background {
  /** Goes on with `work`; should it fail, `what` is logged with it, and with the facts `about` it. */
  own(work: Promise<unknown>, what: string, about?: Record<string, unknown>): void;
  /** Resolves when all has ended that is under way now. Never rejects. */
  settled(): Promise<void>;
}

export interface BackgroundLog {
  error(facts: Record<string, unknown>, what: string): void;
}

export function createBackground(log: BackgroundLog): Background {
  const all = new Set<Promise<unknown>>();
  return {
    own(work, what, about = {}) {
      const owned = work.catch((err: unknown) => log.error({ err, ...about }, what)).finally(() => all.delete(owned));
      all.add(owned);
    },
    settled: async () => void (await Promise.allSettled(all)),
  };
}

/** What was acquired, to be given back in reverse order exactly once, whatever else fails. */

export interface Cleanup {
  add(what: string, release: () => Promise<void> | void): void;
  /** Releases everything; a failing release is reported and does not keep the others from running. */
  run(): Promise<void>;
}

/** An empty stack. `onError` is told what could not be released. */
export function createCleanup(onError: (what: string, error: unknown) => void): Cleanup {
  const stack: { what: string; release: () => Promise<void> | void }[] = [];
  return {
    add: (what, release) => void stack.push({ what, release }),
    async run() {
      for (let entry = stack.pop(); entry; entry = stack.pop()) {
        try {
          await entry.release();
        } catch (error) {
          onError(entry.what, error);
        }
      }
    },
  };
}

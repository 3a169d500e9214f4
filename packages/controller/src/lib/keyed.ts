/** Work by key (a VM, a user): one at a time for each key, however many keys there are. Keeps nothing of a key that rests. */

interface Keyed {
  /** Whether work with this key is under way or waits. */
  has(key: string): boolean;
  /** With how many keys work is under way. */
  size(): number;
  /** Resolves when nothing with this key is under way any more that was when it was called; never rejects. */
  settled(key: string): Promise<void>;
  /** The same for all keys. */
  allSettled(): Promise<void>;
}

export interface Queue extends Keyed {
  /** Does `work` once all earlier work with this key has ended, however that went. */
  run<T>(key: string, work: () => Promise<T>): Promise<T>;
}

export interface Shared<T> extends Keyed {
  /** Joins the work that is under way with this key, or begins `work`. */
  run(key: string, work: () => Promise<T>): Promise<T>;
}

/** Later work waits for earlier work: for changes that must not overtake each other. */
export function createQueue(): Queue {
  const under = createUnder<unknown>();
  return {
    ...under.face,
    run(key, work) {
      const before = under.get(key);
      const done = before ? before.then(work, work) : work();
      under.set(key, done);
      return done;
    },
  };
}

/** Later callers get what the first one gets: for work that is the same for everybody who asks. */
export function createShared<T>(): Shared<T> {
  const under = createUnder<T>();
  return {
    ...under.face,
    run(key, work) {
      const joined = under.get(key);
      if (joined) return joined;
      const done = work();
      under.set(key, done);
      return done;
    },
  };
}

/** The last work of each key, for as long as it takes. */
function createUnder<T>() {
  const last = new Map<string, Promise<T>>();
  return {
    get: (key: string) => last.get(key),
    set(key: string, work: Promise<T>): void {
      last.set(key, work);
      const forget = (): void => {
        if (last.get(key) === work) last.delete(key);
      };
      work.then(forget, forget);
    },
    face: {
      has: (key: string) => last.has(key),
      size: () => last.size,
      async settled(key: string): Promise<void> {
        await last.get(key)?.then(ignore, ignore);
      },
      async allSettled(): Promise<void> {
        await Promise.allSettled(last.values());
      },
    },
  };
}

const ignore = (): void => undefined;

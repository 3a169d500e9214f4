/** Numbers from 0 to 1 that are the same for the same seed (mulberry32): what failed by chance can be had again. */
export function chance(seed: number): () => number {
  let at = seed;
  return () => {
    at = (at + 0x6d2b79f5) | 0;
    let mixed = Math.imul(at ^ (at >>> 15), 1 | at);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Some of `all`, each as likely as not. */
export const some = <T>(next: () => number, all: readonly T[]): T[] => all.filter(() => next() < 0.5);

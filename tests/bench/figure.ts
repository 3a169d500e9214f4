/** A figure of the benchmark: samples of Airlock against samples of a baseline from the same run. Pure, but for `alternate`. */

export interface Side {
  /** What was measured, in words. */
  what: string;
  samples: readonly number[];
}

/** A side as it is printed. Of many samples only the percentiles 0, 10 … 100 are, and how many there were. */
export interface Measured extends Side {
  median: number;
  count: number;
}

export interface Figure {
  name: string;
  unit: 'MiB/s' | 'ms' | 's';
  baseline: Measured;
  airlock: Measured;
  /** Airlock's median / the baseline's median. */
  ratio: number;
  /** What the ratio should be; null where it is only reported, and then `met` is null too. */
  goal: { atLeast: number } | { atMost: number } | null;
  met: boolean | null;
  /** Further facts, such as the steps of an image build. */
  details?: unknown;
}

/** So many samples are printed one by one. */
const printedSamples = 20;

const round = (value: number): number => Number(value.toPrecision(5));

/** The middle sample, or the mean of the two in the middle. @throws Error without samples */
export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const [low, high] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[Math.floor(sorted.length / 2)]];
  if (low === undefined || high === undefined) throw new Error('There is no median of nothing.');
  return (low + high) / 2;
}

function percentiles(samples: readonly number[]): number[] {
  const sorted = [...samples].sort((a, b) => a - b);
  return Array.from({ length: 11 }, (_, tenth) => sorted[Math.round((tenth / 10) * (sorted.length - 1))] ?? 0);
}

/** Puts medians, ratio and verdict to the samples of both sides. */
export function figureOf(facts: Omit<Figure, 'ratio' | 'met' | keyof Sides> & Sides): Figure {
  const withMedian = ({ what, samples }: Side): Measured => ({
    what,
    median: round(median(samples)),
    count: samples.length,
    samples: (samples.length > printedSamples ? percentiles(samples) : samples).map(round),
  });
  const [baseline, airlock] = [withMedian(facts.baseline), withMedian(facts.airlock)];
  const ratio = round(airlock.median / baseline.median);
  const { goal } = facts;
  const met = goal === null ? null : 'atLeast' in goal ? ratio >= goal.atLeast : ratio <= goal.atMost;
  return { ...facts, baseline, airlock, ratio, met };
}

interface Sides {
  baseline: Side;
  airlock: Side;
}

/** Measures one, then the other, `rounds` times, so that whatever else the machine does meets both alike. */
export async function alternate<A, B>(
  rounds: number,
  signal: AbortSignal,
  first: () => Promise<A>,
  second: () => Promise<B>,
): Promise<[A[], B[]]> {
  const results: [A[], B[]] = [[], []];
  for (let round = 0; round < rounds; round += 1) {
    signal.throwIfAborted();
    results[0].push(await first());
    signal.throwIfAborted();
    results[1].push(await second());
  }
  return results;
}

/** What each part of the benchmark is given. */
export interface Context {
  /** Rounds asked for; null: the part's own default. */
  runs: number | null;
  /** Folder of the image to compare the current one with; null when none was named. */
  against: string | null;
  signal: AbortSignal;
  /** Takes a line of progress. */
  say: (line: string) => void;
}

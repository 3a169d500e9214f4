/** Tells a person how far the build is: one line when a step begins, one when it ends, one each 10 s between. */

const heartbeatMs = 10_000;

export interface Progress {
  /** Ends the current step, if there is one, and begins the next. */
  step(title: string): void;
  /** What the current step is doing; shown by the next heartbeat. */
  note(text: string): void;
  /** Ends the current step with a word on its result. */
  done(result?: string): void;
  /** No more heartbeats. */
  stop(): void;
  /** Whole seconds of each step that has ended, in order. */
  seconds(): { title: string; seconds: number }[];
}

/** Progress over `total` steps, written line by line with `write`; needs no terminal. */
export function createProgress(total: number, write: (line: string) => void): Progress {
  let current: { number: number; title: string; startedAt: number } | null = null;
  let number = 0;
  let noted = '';
  const ended: { title: string; seconds: number }[] = [];
  const elapsed = (): number => (current === null ? 0 : (performance.now() - current.startedAt) / 1000);
  const prefix = (): string => `[${current?.number ?? number}/${total}]`;
  const timer = setInterval(() => {
    if (current) write(`${prefix()}   … ${elapsed().toFixed(0)} s${noted ? `: ${noted}` : ''}`);
  }, heartbeatMs);

  function done(result = ''): void {
    if (!current) return;
    write(`${prefix()}   done in ${elapsed().toFixed(1)} s${result ? `, ${result}` : ''}`);
    ended.push({ title: current.title, seconds: Number(elapsed().toFixed(1)) });
    current = null;
  }

  return {
    step: (title) => {
      done();
      current = { number: (number += 1), title, startedAt: performance.now() };
      noted = '';
      write(`${prefix()} ${title}`);
    },
    note: (text) => (noted = text.trim().slice(0, 100) || noted),
    done,
    stop: () => clearInterval(timer),
    seconds: () => ended,
  };
}

/** A size for people: `16.1 MB`, `2.0 GB`. */
export function formatBytes(bytes: number): string {
  const [divisor, unit] = bytes >= 1e9 ? [1e9, 'GB'] : bytes >= 1e6 ? [1e6, 'MB'] : [1e3, 'kB'];
  return `${(bytes / divisor).toFixed(1)} ${unit}`;
}

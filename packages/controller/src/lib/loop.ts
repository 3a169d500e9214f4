/** Work that is done again and again, as long as the controller lives: the one timekeeper of sweeps, polls and checks. */
import type { Log } from './log.js';

export interface Loop {
  /** No turn begins any more; resolves when the one under way has ended. */
  stop(): Promise<void>;
}

export interface LoopOptions {
  /** In logs. */
  name: string;
  /** Milliseconds from the end of one turn to the beginning of the next, so that there are never two at once. */
  everyMs: number;
  /** The first turn begins now, not after `everyMs`. */
  atOnce?: boolean;
  /** One turn. When it fails, that is logged, and the next one comes all the same. */
  turn(): Promise<void>;
  log: Pick<Log, 'error'>;
}

/** Runs until `stop`. */
export function startLoop({ name, everyMs, atOnce = false, turn, log }: LoopOptions): Loop {
  let timer: NodeJS.Timeout | undefined;
  let running = Promise.resolve();
  let stopped = false;

  async function takeTurn(): Promise<void> {
    try {
      await turn();
    } catch (error) {
      log.error({ err: error, loop: name }, 'a turn of a loop failed; the next one comes all the same');
    }
    if (!stopped) wait();
  }

  const begin = (): void => {
    running = takeTurn();
  };
  const wait = (): void => void (timer = setTimeout(begin, everyMs));

  if (atOnce) begin();
  else wait();
  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}

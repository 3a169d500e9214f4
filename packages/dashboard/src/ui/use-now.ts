/** The present time, for countdowns and elapsed times. */
import { useSyncExternalStore } from 'react';
import { serverNowMs } from '../api/clock.js';

/** The server's time in epoch milliseconds, in whole seconds; renders again each second while `running`. */
export function useNow(running: boolean): number {
  return useSyncExternalStore(running ? everySecond : never, thisSecondMs);
}

const thisSecondMs = (): number => Math.ceil(serverNowMs() / 1000) * 1000;

function everySecond(onTick: () => void): () => void {
  const timer = setInterval(onTick, 1000);
  return () => clearInterval(timer);
}

const never = () => () => undefined;

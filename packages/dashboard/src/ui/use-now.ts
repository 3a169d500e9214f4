/** The present time, for countdowns and elapsed times. */
import { useEffect, useState } from 'react';
import { serverNowMs } from '../api/clock.js';

/** The server's time in epoch milliseconds; renders again each second while `running`. */
export function useNow(running: boolean): number {
  const [nowMs, setNowMs] = useState(serverNowMs);
  useEffect(() => {
    setNowMs(serverNowMs());
    if (!running) return;
    const timer = setInterval(() => setNowMs(serverNowMs()), 1000);
    return () => clearInterval(timer);
  }, [running]);
  return nowMs;
}

/** Notices that the network to Airlock has gone silent, which a WebSocket takes minutes to: nothing came, and nothing answers. */
import { pause } from '../ui/backoff.js';

/** Milliseconds without a byte from the desktop after which Airlock is asked whether it is there, and for its answer. */
const quietMs = 1000;
const answerMs = 800;

interface SilenceOptions {
  /** `performance.now()` of the last sign of life. */
  heardAt(): number;
  /** Asks Airlock for an answer. Rejects when there is none. */
  ask(signal: AbortSignal): Promise<unknown>;
  /** Called when it begins, with null; when it is over, with the milliseconds that it took. */
  onSilence(tookMs: number | null): void;
}

/** Watches until `signal` fires. What begins is told within two seconds. */
export async function watchSilence({ heardAt, ask, onSilence }: SilenceOptions, signal: AbortSignal): Promise<void> {
  let answeredAt = performance.now();
  let silentSince: number | null = null;
  while (!signal.aborted) {
    const quiet = performance.now() - Math.max(heardAt(), answeredAt);
    if (quiet < quietMs) {
      if (silentSince !== null) onSilence(performance.now() - silentSince);
      silentSince = null;
      await pause(quietMs - quiet, signal);
      continue;
    }
    const isThere = await ask(AbortSignal.any([signal, AbortSignal.timeout(answerMs)])).then(
      () => true,
      () => false,
    );
    if (signal.aborted) return;
    if (isThere) answeredAt = performance.now();
    else {
      if (silentSince === null) onSilence(null);
      silentSince ??= answeredAt;
      await pause(answerMs, signal);
    }
  }
}

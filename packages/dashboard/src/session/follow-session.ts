/** Follows a session's server-sent events, and opens the stream again whenever it breaks. */
import { isFinal, Session } from '@airlock/contract/session';
import { eventsOf } from '../api/events.js';
import { backoffMs, pause } from '../ui/backoff.js';

interface Follower {
  /** Asks the controller for the stream. */
  open(signal: AbortSignal): Promise<ReadableStream<Uint8Array>>;
  onSession(session: Session): void;
  /** Called on each change: true when the stream has opened, false when it broke. */
  onConnection(open: boolean): void;
}

/** Starts at once; the returned function stops it. Ends by itself after a final document. */
export function followSession({ open, onSession, onConnection }: Follower): () => void {
  const left = new AbortController();
  const { signal } = left;
  let failures = 0;
  let reported: boolean | null = null;

  const report = (isOpen: boolean) => {
    if (isOpen !== reported && !signal.aborted) onConnection(isOpen);
    reported = isOpen;
  };

  /** Until the stream ends; true after a final document. */
  const followOnce = async (): Promise<boolean> => {
    const stream = await open(signal);
    failures = 0;
    report(true);
    for await (const { event, data } of eventsOf(stream)) {
      if (signal.aborted) return false;
      if (event !== 'session') continue;
      const session = Session.parse(JSON.parse(data));
      onSession(session);
      if (isFinal(session.status)) return true;
    }
    return false;
  };

  const follow = async (): Promise<void> => {
    while (!signal.aborted) {
      // Why it broke is told by the calls that the page makes then.
      if (await followOnce().catch(() => false)) return;
      report(false);
      failures += 1;
      await pause(backoffMs(failures), signal);
    }
  };

  void follow();
  return () => left.abort();
}

/** Follows a session's server-sent events, and opens the stream again whenever it breaks. */
import { isFinal, Session } from '@airlock/contract/session';
import { backoffMs } from '../ui/backoff.js';

interface Follower {
  onSession(session: Session): void;
  /** Called on each change: true when the stream has opened, false when it broke. */
  onConnection(open: boolean): void;
}

/** Starts at once; the returned function stops it. Ends by itself after a final document. */
export function followSession(url: string, { onSession, onConnection }: Follower): () => void {
  let source: EventSource | null = null;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  let reported: boolean | null = null;

  const report = (open: boolean) => {
    if (open !== reported) onConnection(open);
    reported = open;
  };

  const stop = () => {
    clearTimeout(retry);
    source?.close();
    source = null;
  };

  const open = () => {
    source = new EventSource(url);
    source.addEventListener('open', () => {
      failures = 0;
      report(true);
    });
    source.addEventListener('session', (event) => {
      const session = Session.parse(JSON.parse(event.data));
      if (isFinal(session.status)) stop();
      onSession(session);
    });
    // The browser retries some failures and gives up on others; here every one is treated alike.
    source.addEventListener('error', () => {
      stop();
      report(false);
      failures += 1;
      retry = setTimeout(open, backoffMs(failures));
    });
  };

  open();
  return stop;
}

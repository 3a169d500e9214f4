/**
 * A desktop in an element: connects noVNC with a fresh one-time ticket, and connects again whenever the socket drops,
 * until it is closed. Owns the noVNC object; leaves the element empty.
 */
import { AppError } from '@airlock/contract/errors';
import RFB from '@novnc/novnc';
import { backoffMs, pause } from '../ui/backoff.js';

export type ViewerState =
  | { name: 'connecting' }
  | { name: 'connected' }
  /** Until it is connected again. `reason` is one sentence, or null when the connection simply dropped. */
  | { name: 'retrying'; reason: string | null };

export interface Viewer {
  focus(): void;
  /** Presses and releases the key with this X11 keysym. */
  sendKey(keysym: number): void;
  /** True shows pixels at their own size and lets a finger move the picture; false fits all of it in. */
  setZoomed(zoomed: boolean): void;
  close(): void;
}

interface ViewerOptions {
  /** A new one-time ticket: the WebSocket path with the ticket in it. */
  ticket(signal: AbortSignal): Promise<{ path: string }>;
  onState(state: ViewerState): void;
}

/** A connection that lived this long counts as good: the next failure starts the back-off anew. */
const settledMs = 10_000;
const connectDeadlineMs = 20_000;

/** Starts connecting at once. */
export function openViewer(target: HTMLElement, { ticket, onState }: ViewerOptions): Viewer {
  const closed = new AbortController();
  let rfb: RFB | null = null;
  let zoomed = false;

  const applyZoom = () => {
    if (rfb === null) return;
    rfb.clipViewport = zoomed;
    rfb.dragViewport = zoomed;
    rfb.scaleViewport = !zoomed;
  };

  const connectOnce = async (): Promise<{ reason: string | null; settled: boolean }> => {
    const { path } = await ticket(closed.signal);
    closed.signal.throwIfAborted();
    let connectedAtMs: number | null = null;
    const current = new RFB(target, socketUrl(path), { shared: true });
    rfb = current;
    current.resizeSession = false;
    current.focusOnClick = true;
    current.showDotCursor = true;
    current.background = 'transparent';
    applyZoom();
    current.addEventListener('connect', () => {
      connectedAtMs = performance.now();
      onState({ name: 'connected' });
      if (mayTakeFocus(target)) current.focus({ preventScroll: true });
    });
    const reason = await untilDisconnected(current, closed.signal);
    rfb = null;
    return { reason, settled: connectedAtMs !== null && performance.now() - connectedAtMs > settledMs };
  };

  const run = async () => {
    let failures = 0;
    onState({ name: 'connecting' });
    while (!closed.signal.aborted) {
      const { reason, settled } = await connectOnce().catch((error: unknown) => ({
        reason: AppError.from(error).message,
        settled: false,
      }));
      if (closed.signal.aborted) return;
      failures = settled ? 1 : failures + 1;
      onState({ name: 'retrying', reason });
      await pause(backoffMs(failures), closed.signal);
    }
  };

  void run();
  return {
    focus: () => rfb?.focus({ preventScroll: true }),
    sendKey: (keysym) => rfb?.sendKey(keysym, null),
    setZoomed: (value) => {
      zoomed = value;
      applyZoom();
    },
    close: () => closed.abort(),
  };
}

/** Resolves when the connection is over, with a reason where there is a better one than "it dropped". */
function untilDisconnected(rfb: RFB, signal: AbortSignal): Promise<string | null> {
  return new Promise((resolve) => {
    let reason: string | null = null;
    const giveUp = (why: string | null) => {
      reason ??= why;
      rfb.disconnect();
    };
    const deadline = setTimeout(() => giveUp('The desktop did not answer in time.'), connectDeadlineMs);
    const onAbort = () => giveUp(null);
    signal.addEventListener('abort', onAbort, { once: true });
    rfb.addEventListener('connect', () => clearTimeout(deadline));
    rfb.addEventListener('securityfailure', () => giveUp('The desktop refused the connection.'));
    rfb.addEventListener('credentialsrequired', () =>
      giveUp('The desktop asks for a password that Airlock should know.'),
    );
    rfb.addEventListener('disconnect', () => {
      clearTimeout(deadline);
      signal.removeEventListener('abort', onAbort);
      resolve(reason);
    });
  });
}

/** The WebSocket address of a path on the server that this page came from. */
function socketUrl(path: string): string {
  return `${location.protocol === 'https:' ? 'wss:' : 'ws:'}//${location.host}${path}`;
}

/** A desktop that (re)connects must not pull the keyboard out of a dialog or a text field. */
function mayTakeFocus(target: HTMLElement): boolean {
  const active = document.activeElement;
  return active === null || target.contains(active) || active.closest('[role="dialog"], input, textarea') === null;
}

/**
 * A desktop in an element: connects noVNC with a fresh one-time ticket, and connects again whenever the socket drops,
 * until it is closed. Owns the noVNC object; leaves the element empty.
 */
import { AppError } from '@airlock/contract/errors';
import { backoffMs, pause } from '../ui/backoff.js';
import { createInputQueue, type InputQueue, type Wire } from './input-queue.js';
import { leaveKeys } from './person-keys.js';
import { OrderedRfb } from './rfb.js';
import { watchSilence } from './silence.js';

export type ViewerState =
  | { name: 'connecting' }
  | { name: 'connected' }
  /** Connected, and Airlock does not answer: the network is gone, or very slow. */
  | { name: 'silent' }
  /** Until it is connected again. `reason` is one sentence, or null when the connection simply dropped. */
  | { name: 'retrying'; reason: string | null };

export interface Viewer {
  /** What is typed and pasted, in its order. */
  queue: InputQueue;
  focus(): void;
  /** True shows pixels at their own size and lets a finger move the picture; false fits all of it in. */
  setZoomed(zoomed: boolean): void;
  close(): void;
}

interface ViewerOptions {
  /** A new one-time ticket: the WebSocket path with the ticket in it. */
  ticket(signal: AbortSignal): Promise<{ path: string }>;
  /** See `Wire`. */
  paste: Wire['paste'];
  /** Rejects unless Airlock answers. */
  ask(signal: AbortSignal): Promise<unknown>;
  onState(state: ViewerState): void;
}

/** A connection that lived this long counts as good: the next failure starts the back-off anew. */
const settledMs = 10_000;
const connectDeadlineMs = 20_000;
/** After a longer silence (ms) nobody knows whether the connection lives: it is made anew. */
const doubtfulMs = 5000;

/** Starts connecting at once. */
export function openViewer(target: HTMLElement, options: ViewerOptions): Viewer {
  const closed = new AbortController();
  const view: View = { ...options, target, rfb: null, zoomed: false, signal: closed.signal };
  const queue = createInputQueue({
    key: (key) => view.rfb?.sendNow(key),
    reached: async () => (await view.rfb?.reached()) ?? false,
    paste: options.paste,
  });
  void run(view, queue);
  return {
    queue,
    focus: () => view.rfb?.focus({ preventScroll: true }),
    setZoomed: (value) => {
      view.zoomed = value;
      applyZoom(view);
    },
    close: () => closed.abort(),
  };
}

interface View extends ViewerOptions {
  target: HTMLElement;
  rfb: OrderedRfb | null;
  zoomed: boolean;
  signal: AbortSignal;
}

function applyZoom({ rfb, zoomed }: View): void {
  if (rfb === null) return;
  rfb.clipViewport = zoomed;
  rfb.dragViewport = zoomed;
  rfb.scaleViewport = !zoomed;
}

async function run(view: View, queue: InputQueue): Promise<void> {
  const { signal, onState } = view;
  let failures = 0;
  onState({ name: 'connecting' });
  while (!signal.aborted) {
    const { reason, settled } = await connectOnce(view, queue).catch((error: unknown) => ({
      reason: AppError.from(error).message,
      settled: false,
    }));
    view.rfb = null;
    queue.reset();
    if (signal.aborted) return;
    failures = settled ? 1 : failures + 1;
    onState({ name: 'retrying', reason });
    await pause(backoffMs(failures), signal);
  }
}

async function connectOnce(view: View, queue: InputQueue): Promise<{ reason: string | null; settled: boolean }> {
  const { target, signal, onState } = view;
  const { path } = await view.ticket(signal);
  signal.throwIfAborted();
  let connectedAtMs: number | null = null;
  const rfb = new OrderedRfb(target, socketUrl(path), (key) => queue.key(key));
  view.rfb = rfb;
  rfb.resizeSession = false;
  rfb.focusOnClick = true;
  rfb.showDotCursor = true;
  rfb.background = 'transparent';
  applyZoom(view);
  const over = new AbortController();
  rfb.addEventListener('connect', () => {
    connectedAtMs = performance.now();
    nameCanvas(target);
    onState({ name: 'connected' });
    if (mayTakeFocus(target)) rfb.focus({ preventScroll: true });
    void watchSilence(
      {
        heardAt: () => rfb.heardAt,
        ask: (asking) => view.ask(asking),
        onSilence: (tookMs) => {
          if (tookMs !== null && tookMs > doubtfulMs) rfb.disconnect();
          else onState({ name: tookMs === null ? 'silent' : 'connected' });
        },
      },
      AbortSignal.any([over.signal, signal]),
    );
  });
  const reason = await untilDisconnected(rfb, signal);
  over.abort();
  return { reason, settled: connectedAtMs !== null && performance.now() - connectedAtMs > settledMs };
}

/** What the keyboard reaches and a screen reader says, once noVNC has made it. */
function nameCanvas(target: HTMLElement): void {
  const canvas = target.querySelector('canvas');
  if (canvas === null) return;
  canvas.tabIndex = 0;
  canvas.role = 'application';
  canvas.ariaLabel = `Desktop of the private computer: what you type and click here happens there. ${leaveKeys} takes the keyboard out of it.`;
}

/** Resolves when the connection is over, with a reason where there is a better one than "it dropped". */
function untilDisconnected(rfb: OrderedRfb, signal: AbortSignal): Promise<string | null> {
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

/** A desktop that (re)connects takes the keyboard when nothing else has it. */
function mayTakeFocus(target: HTMLElement): boolean {
  const active = document.activeElement;
  return active === null || active === document.body || target.contains(active);
}

/**
 * Watches the desktop in the background, so that /health answers at once with the last knowledge: often until every
 * part has been seen, seldom after that, and when the windows change.
 */
import { createBackground } from '@airlock/contract/background';
import type { Log } from '../log.js';
import type { DesktopParts } from './eye.js';
import { hasRfbBanner, isListening } from './vnc.js';

export interface DesktopProbe {
  parts(): DesktopParts;
  start(): void;
  stop(): void;
  /** Something has changed: the next look is not to wait. */
  lookSoon(): void;
}

export interface ProbeDeps {
  /** @throws Error when there is no display, or it has gone; the next look finds another one */
  look: () => Promise<Omit<DesktopParts, 'display' | 'vnc'>>;
  /** Lets go of the display. */
  close: () => void;
  vncPort: number;
}

/** Milliseconds between two looks, while something is missing or has changed, and when all is there. */
const interval = { missing: 200, complete: 3000 } as const;

const nothing: DesktopParts = { display: false, vnc: false, windowManager: false, terminal: false, browser: false };

export function createDesktopProbe({ look: lookAtWindows, close, vncPort }: ProbeDeps, log: Log): DesktopProbe {
  let parts = nothing;
  let timer: NodeJS.Timeout | undefined;
  let isSoon = false;
  const tell = tellOnce(log);
  /** Identifies the current watch; a look that ends after stop() finds another one and is forgotten. */
  let watchId = 0;
  let running = false;

  async function lookAtDisplay(): Promise<Omit<DesktopParts, 'vnc'>> {
    try {
      return { display: true, ...(await lookAtWindows()) };
    } catch (error) {
      tell(error as NodeJS.ErrnoException);
      return nothing;
    }
  }

  async function look(): Promise<DesktopParts> {
    const vnc = isListening(vncPort).then((listens) => (listens && !parts.vnc ? hasRfbBanner(vncPort) : listens));
    const [seen, vncAnswers] = await Promise.all([lookAtDisplay(), vnc]);
    return { ...seen, vnc: vncAnswers };
  }

  function remember(seen: DesktopParts): void {
    const changed = Object.entries(seen).filter(([name, up]) => up !== parts[name as keyof DesktopParts]);
    if (changed.length > 0) log('desktop', Object.fromEntries(changed));
    parts = seen;
  }
  const background = createBackground({ error: ({ err }, what) => log(`${what}: ${String(err)}`) });
  const begin = (id: number): void => background.own(watch(id), 'The desktop could not be watched');
  const again = (pause: number): void => {
    clearTimeout(timer);
    timer = setTimeout(() => begin(watchId), pause);
  };

  async function watch(id: number): Promise<void> {
    timer = undefined;
    isSoon = false;
    const seen = await look();
    if (!running || id !== watchId) return;
    remember(seen);
    again(!isSoon && Object.values(seen).every(Boolean) ? interval.complete : interval.missing);
  }

  return {
    parts: () => parts,
    start: () => {
      if (running) return;
      running = true;
      begin((watchId += 1));
    },
    stop: () => {
      running = false;
      clearTimeout(timer);
      close();
      parts = nothing;
    },
    lookSoon: () => {
      // While it looks there is no timer: what changed meanwhile is looked at after it.
      if (!isSoon && timer !== undefined) again(interval.missing);
      isSoon = true;
    },
  };
}

/** Not up yet, or gone: expected. Anything else is worth a line, once. */
function tellOnce(log: Log): (error: NodeJS.ErrnoException) => void {
  let last = '';
  return ({ code, message }) => {
    if (code !== 'ENOENT' && code !== 'ECONNREFUSED' && message !== last) log(`X server: ${message}`);
    last = message;
  };
}

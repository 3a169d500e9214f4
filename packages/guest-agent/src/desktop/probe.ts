/**
 * Watches the desktop in the background, so that /health answers at once with the last knowledge: often until every
 * part has been seen, seldom after that.
 */
import { createBackground } from '@airlock/contract/background';
import type { GuestHealth } from '@airlock/contract/guest';
import type { Log } from '../log.js';
import type { AgentSettings } from '../settings.js';
import { hasRfbBanner, isListening } from './vnc.js';
import { isPainted, sampleLines } from './painted.js';
import { openDisplay, windowsOf, type XDisplay } from './x11.js';

export type DesktopParts = NonNullable<GuestHealth['desktop']>;

export interface DesktopProbe {
  parts(): DesktopParts;
  start(): void;
  stop(): void;
}

/** Milliseconds between two looks, while something is missing and when all is there. */
const interval = { missing: 200, complete: 3000 } as const;

const nothing: DesktopParts = { display: false, vnc: false, windowManager: false, terminal: false, browser: false };

type WindowParts = Pick<DesktopParts, 'windowManager' | 'terminal' | 'browser'>;

/** The window manager's own mark, and the windows that it manages, by their class. */
async function lookAtWindows(display: XDisplay, drawn: Set<number>): Promise<WindowParts> {
  const mark = windowsOf((await display.property(display.root, '_NET_SUPPORTING_WM_CHECK')) ?? Buffer.alloc(0))[0];
  // A dead window manager leaves its mark on the root window, but not the window that the mark names.
  const windowManager = mark !== undefined && (await display.property(mark, '_NET_SUPPORTING_WM_CHECK')) !== null;
  const managed = windowsOf((await display.property(display.root, '_NET_CLIENT_LIST')) ?? Buffer.alloc(0));
  let [terminal, browser] = [false, false];
  for (const window of managed) {
    const classes = String(await display.property(window, 'WM_CLASS'))
      .toLowerCase()
      .split('\0');
    terminal ||= classes.includes('xterm');
    browser ||= classes.includes('chromium') && (await isDrawn(display, window, drawn));
  }
  return { windowManager, terminal: windowManager && terminal, browser: windowManager && browser };
}

/** Chromium maps its window seconds before it draws in it, and names it before that, too: the pixels tell. */
async function isDrawn(display: XDisplay, window: number, drawn: Set<number>): Promise<boolean> {
  if (drawn.has(window)) return true;
  const title = String((await display.property(window, '_NET_WM_NAME')) ?? '');
  const lines: Buffer[] = [];
  for (const { x, y, width } of sampleLines) {
    const line = await display.line(x, y, width);
    if (line) lines.push(line);
  }
  if (!isPainted(title, lines)) return false;
  drawn.add(window);
  return true;
}

/** Looks at the X server again and again over one connection; one that fails is closed, and the next look connects anew. */
function createEye(socket: string, log: Log) {
  /** Browser windows that have shown a page. */
  const drawn = new Set<number>();
  let display: XDisplay | null = null;
  let lastFault = '';
  const close = (): void => {
    display?.close();
    display = null;
  };
  async function look(): Promise<Omit<DesktopParts, 'vnc'>> {
    try {
      display ??= await openDisplay(socket);
      return { display: true, ...(await lookAtWindows(display, drawn)) };
    } catch (error) {
      // Not up yet, or gone: expected. Anything else is worth a line, once.
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ECONNREFUSED' && message !== lastFault) log(`X server: ${message}`);
      lastFault = message;
      close();
      return { display: false, windowManager: false, terminal: false, browser: false };
    }
  }
  return { look, close };
}

export function createDesktopProbe(settings: AgentSettings, log: Log): DesktopProbe {
  let parts = nothing;
  const eye = createEye(settings.displaySocket, log);
  let timer: NodeJS.Timeout | undefined;
  /** Identifies the current watch; a look that ends after stop() finds another one and is forgotten. */
  let watchId = 0;
  let running = false;

  async function look(): Promise<DesktopParts> {
    const vnc = isListening(settings.vncPort).then((listens) =>
      listens && !parts.vnc ? hasRfbBanner(settings.vncPort) : listens,
    );
    const [seen, vncAnswers] = await Promise.all([eye.look(), vnc]);
    return { ...seen, vnc: vncAnswers };
  }

  function remember(seen: DesktopParts): void {
    const changed = Object.entries(seen).filter(([name, up]) => up !== parts[name as keyof DesktopParts]);
    if (changed.length > 0) log('desktop', Object.fromEntries(changed));
    parts = seen;
  }

  const background = createBackground({ error: ({ err }, what) => log(`${what}: ${String(err)}`) });
  const begin = (id: number): void => background.own(watch(id), 'The desktop could not be watched');

  async function watch(id: number): Promise<void> {
    const seen = await look().catch((error: unknown) => {
      log(`The desktop could not be looked at: ${String(error)}`);
      return nothing;
    });
    if (!running || id !== watchId) return;
    remember(seen);
    const pause = Object.values(seen).every(Boolean) ? interval.complete : interval.missing;
    timer = setTimeout(() => begin(id), pause);
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
      eye.close();
      parts = nothing;
    },
  };
}

/** Looks at the windows of the desktop, and sees to it that each can be used: in its place, within the screen, and no icon. */
import type { DesktopSize } from '@airlock/contract/desktop';
import type { GuestHealth } from '@airlock/contract/guest';
import type { XDisplay } from '../x11/x11.js';
import { isPainted, sampleLines } from './painted.js';
import { sizeOf } from './size.js';
import { frameFurther, layOut, managedWindows, pullBack, uniconify, type Lost, type ManagedWindow } from './windows.js';

export type DesktopParts = NonNullable<GuestHealth['desktop']>;
type WindowParts = Pick<DesktopParts, 'windowManager' | 'terminal' | 'browser'>;

const noWindows: WindowParts = { windowManager: false, terminal: false, browser: false };

/** Of one display. The function that it returns looks once. */
export function createEye(display: XDisplay): () => Promise<WindowParts> {
  /** Browser windows that have shown a page. */
  const drawn = new Set<number>();
  /** Windows that were given their place; the person may have moved them since. */
  let placed = new Set<number>();
  const lost: Lost = new Map();

  async function tidy(windows: readonly ManagedWindow[], size: DesktopSize): Promise<void> {
    await uniconify(display, windows);
    const fresh = windows.filter(({ window }) => !placed.has(window));
    await frameFurther(display, fresh);
    await layOut(display, fresh, size);
    placed = new Set(windows.map(({ window }) => window));
    await pullBack(display, windows, size, lost);
  }

  return async () => {
    const [windows, size] = await Promise.all([managedWindows(display), sizeOf(display)]);
    if (windows === null || size === null) return noWindows;
    await tidy(windows, size);
    let browser = false;
    for (const { window, kind } of windows) {
      browser ||= kind === 'browser' && (drawn.has(window) || (await isDrawn(display, window, size)));
      if (browser && kind === 'browser') drawn.add(window);
    }
    return { windowManager: true, terminal: windows.some(({ kind }) => kind === 'terminal'), browser };
  };
}

/** Chromium maps its window seconds before it draws in it, and names it before that, too: the pixels tell. */
async function isDrawn(display: XDisplay, window: number, size: DesktopSize): Promise<boolean> {
  const title = String((await display.property(window, '_NET_WM_NAME')) ?? '');
  const lines = await Promise.all(sampleLines(size).map(async ({ x, y, width }) => display.line(x, y, width)));
  return isPainted(
    title,
    lines.filter((line) => line !== null),
  );
}

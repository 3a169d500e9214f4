/** Criteria 3 to 6: what a person sees on the desktop and can do there, measured on the pixels that come through the tunnel. */
import { setTimeout as delay } from 'node:timers/promises';
import { desktopSizes, layoutOf } from '@airlock/contract/desktop';
import type { GuestHealth } from '@airlock/contract/guest';
import { countChanges, countColours, cut, type Area } from './frame.js';
import { keysyms, type RfbClient } from './rfb.js';
import type { Outcome } from './report.js';

const { usual } = desktopSizes;
const layout = layoutOf(usual);
const { browser, terminal } = layout;
/** Below the address bar: only a page that loads changes much here. */
const page: Area = { ...browser, y: 140, height: browser.height - 140 };
/** The empty part of the browser's tab strip. */
const tabStrip: Area = { x: browser.x + 340, y: browser.y + 4, width: 380, height: 32 };
/** Where the browser's address is written. */
const addressBar: Area = { x: browser.x + 130, y: browser.y + 50, width: 600, height: 28 };
/** Where the terminal writes: without its title bar, whose colour changes with the focus and would pass for typing. */
const terminalText: Area = { ...terminal, y: terminal.y + 24, height: terminal.height - 24 };
/** A window with text has at least this many colours; letters are drawn with smooth edges. */
const leastColours = 6;
/** Pixels: two short lines of text, and a tenth of a page. */
const leastTyped = 150;
const leastPage = (page.width * page.height) / 10;

export function checkSize({ screen }: RfbClient, connectMs: number): Outcome {
  const size = `${screen.width}x${screen.height}`;
  const pass = screen.width === usual.width && screen.height === usual.height;
  return { pass, figure: `${Math.round(connectMs)} ms to the first frame, ${size}` };
}

/** Criteria 3 and 4: the agent knows the window, and its content is drawn; under emulation that is a moment later. */
export async function checkVisible(
  rfb: RfbClient,
  health: GuestHealth,
  part: 'terminal' | 'browser',
  limitMs = 60_000,
): Promise<Outcome> {
  const known = health.desktop?.[part] ?? false;
  const colours = (): number => countColours(cut(rfb.screen, layout[part]));
  const ms = known ? await untilTrue(rfb, () => colours() >= leastColours, limitMs) : null;
  const figure = `${colours()} colours in its area, window ${known ? 'found' : 'not found'} by the agent`;
  return { pass: ms !== null, figure };
}

/** Waits until `area` has been still for a second; a desktop that never rests gives up after `limitMs`. */
async function untilStill(rfb: RfbClient, area: Area, limitMs: number, signal: AbortSignal): Promise<Uint32Array> {
  const deadline = Date.now() + limitMs;
  let before = cut(rfb.screen, area);
  for (;;) {
    await delay(1000, undefined, { signal });
    const now = cut(rfb.screen, area);
    if (countChanges(before, now) === 0 || Date.now() > deadline) return now;
    before = now;
  }
}

/** Milliseconds until `holds`, looked at with each change of the screen, or null after `limitMs` or at the end of the tunnel. */
async function untilTrue(rfb: RfbClient, holds: () => boolean, limitMs: number): Promise<number | null> {
  const started = performance.now();
  const timeout = AbortSignal.timeout(limitMs);
  const late = new Promise<'late'>((resolve) => timeout.addEventListener('abort', () => resolve('late')));
  for (;;) {
    const changed = rfb.changed();
    if (holds()) return performance.now() - started;
    if ((await Promise.race([changed, late])) !== null) return null;
  }
}

/** As `untilTrue`, for `pixels` in `area` that are not as they were `before`. */
const untilChanged = (
  rfb: RfbClient,
  { area, before, pixels }: { area: Area; before: Uint32Array; pixels: number },
  limitMs: number,
) => untilTrue(rfb, () => countChanges(before, cut(rfb.screen, area)) >= pixels, limitMs);

/** Criterion 5: nothing moves before the first key; then the terminal shows what is typed, and its echo. */
export async function checkTyping(rfb: RfbClient, signal: AbortSignal): Promise<Outcome> {
  rfb.click(terminal.x + terminal.width / 2, terminal.y + terminal.height / 2);
  const before = await untilStill(rfb, terminalText, 30_000, signal);
  rfb.type('e');
  const firstMs = await untilChanged(rfb, { area: terminalText, before, pixels: 1 }, 15_000);
  if (firstMs === null) return { pass: false, figure: 'no change in the terminal within 15 s of a key' };
  rfb.type(`cho airlock-${Math.floor(Math.random() * 1e9)}\n`);
  const allMs = await untilChanged(rfb, { area: terminalText, before, pixels: leastTyped }, 15_000);
  const figure = `${Math.round(firstMs)} ms from key to changed screen`;
  return { pass: allMs !== null, figure: allMs === null ? `${figure}, but the echo did not appear` : figure };
}

/** Criterion 6: a URL typed into the address bar changes the page. */
export async function checkNavigation(rfb: RfbClient, url: string, signal: AbortSignal): Promise<Outcome> {
  const unfocused = cut(rfb.screen, tabStrip);
  rfb.click(browser.x + browser.width / 2, browser.y + browser.height / 2);
  // The window that gets the focus changes the colour of its tab strip; keys pressed earlier would go to the terminal.
  await untilChanged(rfb, { area: tabStrip, before: unfocused, pixels: 1000 }, 10_000);
  rfb.chord(keysyms.control, 'l'.charCodeAt(0));
  const before = await untilStill(rfb, page, 30_000, signal);
  const empty = cut(rfb.screen, addressBar);
  rfb.type(url);
  await untilChanged(rfb, { area: addressBar, before: empty, pixels: 1 }, 30_000);
  // Under emulation the letters appear seconds later; Enter in the middle of them would open what was there before.
  await untilStill(rfb, addressBar, 10_000, signal);
  rfb.type('\n');
  const ms = await untilChanged(rfb, { area: page, before, pixels: leastPage }, 90_000);
  if (ms === null) return { pass: false, figure: `the page did not change within 90 s of opening ${url}` };
  return { pass: true, figure: `${(ms / 1000).toFixed(1)} s until the page of ${url} was drawn` };
}

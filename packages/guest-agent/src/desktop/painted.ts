/** Whether the browser shows a page, judged by its title and some lines of its page area. Pure. */
import { layoutOf, type DesktopSize } from '@airlock/contract/desktop';
import { startPage } from '@airlock/contract/guest';

/** Pixels between the window's top and the page: tabs and address bar, with room to spare. */
const toolbars = 160;
/** So much of a line is kept away from the window's edges and its scroll bar. */
const margin = 24;
const lines = 7;

/** Where to look: lines across the page area of a desktop of this size. */
export function sampleLines(size: DesktopSize): { x: number; y: number; width: number }[] {
  const { browser } = layoutOf(size);
  const apart = Math.floor((browser.height - toolbars - margin) / (lines - 1));
  return Array.from({ length: lines }, (_, index) => ({
    x: browser.x + margin,
    y: browser.y + toolbars + index * apart,
    width: browser.width - 2 * margin,
  }));
}

const [red, green, blue] = startPage.background;
const colourOfStartPage = (blue | (green << 8) | (red << 16)) >>> 0;

/**
 * The start page is there when most pixels have its colour; any other page (an agent that was restarted finds the sign-in
 * page) when the lines are not all of one colour, as those of a window are in which nothing has been drawn.
 */
export function isPainted(title: string, lines: readonly Buffer[]): boolean {
  const pixels = lines.flatMap((line) =>
    Array.from({ length: line.length / 4 }, (_, index) => line.readUInt32LE(4 * index) & 0xffffff),
  );
  if (pixels.length === 0) return false;
  if (title.startsWith(startPage.title))
    return pixels.filter((pixel) => pixel === colourOfStartPage).length > pixels.length / 2;
  return pixels.some((pixel) => pixel !== pixels[0]);
}

/** What a picture of the desktop must show, judged by colours that the image's own files give the two windows. Pure. */
import { desktopSizes, layoutOf } from '@airlock/contract/desktop';
import { startPage } from '@airlock/contract/guest';
import type { Box, Picture } from './screen.js';

type Rgb = readonly [number, number, number];

/** Held together with the guest's files by judge.test.ts. */
export const colours = {
  startPage: startPage.background,
  /** Background of the terminal, from Xresources. */
  terminal: [0x1d, 0x24, 0x2c],
  /** The bare desktop, as airlock-openbox.service paints it. */
  desktop: [0x2e, 0x3a, 0x46],
} as const satisfies Record<string, Rgb>;

const { usual } = desktopSizes;
const { browser, terminal } = layoutOf(usual);
/** A band across the middle of the page, with its letters: a whole picture takes seconds to come out of an emulated VM. */
export const page: Box = { x: browser.x + 16, y: 330, width: browser.width - 32, height: 220 };
/** The terminal's top, with its title bar. */
export const terminalTop: Box = { x: terminal.x, y: terminal.y, width: terminal.width, height: 160 };
/** The first lines of the terminal, without its frame. */
export const terminalText: Box = { x: terminal.x + 8, y: terminal.y + 30, width: 420, height: 120 };

/** The share of pixels in `box` that have exactly this colour, 0 to 1. */
export function shareOf({ width, data }: Picture, { x, y, ...box }: Box, [red, green, blue]: Rgb): number {
  let found = 0;
  for (let row = y; row < y + box.height; row += 1) {
    for (let at = (row * width + x) * 4, end = at + box.width * 4; at < end; at += 4) {
      if (data[at] === red && data[at + 1] === green && data[at + 2] === blue) found += 1;
    }
  }
  return found / (box.width * box.height);
}

/** How many pixels inside `box` differ between two pictures of one size. */
export function changesIn(before: Picture, after: Picture, { x, y, width, height }: Box): number {
  let changes = 0;
  for (let row = y; row < y + height; row += 1) {
    for (let at = (row * after.width + x) * 4, end = at + width * 4; at < end; at += 4) {
      if (before.data.readUInt32LE(at) << 8 !== after.data.readUInt32LE(at) << 8) changes += 1;
    }
  }
  return changes;
}

/** What is wrong with the size of a screen; empty when nothing is. */
export function wrongSize({ width, height }: Pick<Picture, 'width' | 'height'>): string[] {
  if (width === usual.width && height === usual.height) return [];
  return [`a screen of ${usual.width}x${usual.height}: it has ${width}x${height}`];
}

/** What is missing in `page` and `terminalTop` of a desktop that nobody has touched yet; empty when all is there. */
export function missingOn(picture: Picture): string[] {
  const seen: [string, boolean][] = [
    ['the start page in the browser', shareOf(picture, page, colours.startPage) > 0.6],
    ['letters on the start page', shareOf(picture, page, colours.startPage) < 0.999],
    ['the terminal', shareOf(picture, terminalText, colours.terminal) > 0.7],
    ['a prompt in the terminal', shareOf(picture, terminalText, colours.terminal) < 1],
    ['a title bar on the terminal', hasTitleBar(picture)],
  ];
  return seen.filter(([, isThere]) => !isThere).map(([what]) => what);
}

/**
 * Whether some row near the terminal's top is all frame: only a running window manager draws it. Where exactly is left
 * open, because a window manager that takes over a window puts its frame below the place where the window was.
 */
function hasTitleBar(picture: Picture): boolean {
  const rows = Array.from({ length: terminalTop.height }, (_, index) => terminalTop.y + index);
  return rows.some((y) => {
    const row = { x: terminal.x + 40, y, width: 360, height: 1 };
    const known = [...Object.values(colours), [0, 0, 0] as const];
    return known.every((colour) => shareOf(picture, row, colour) < 0.05);
  });
}

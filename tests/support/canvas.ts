/**
 * A desktop shown by noVNC in a page under Playwright: seen by its pixels, used by mouse and keyboard, as a person does.
 * Every function takes the locator of the `<canvas>`; framebuffer and page coordinates differ when noVNC scales.
 */
import type { Locator } from 'playwright-core';
import type { Rgb } from './fake-internet/colours.js';
import { centreOf, decodePng, findColour, matchDefaults, type Box, type ColourMatch, type RgbaImage } from './image.js';
import { until } from './poll.js';

/** Between two looks. */
const intervalMs = 250;

export interface CanvasWait extends ColourMatch {
  timeoutMs: number;
  intervalMs?: number;
}

/** The framebuffer as it is drawn now. @throws Error while the canvas is missing or has no size. */
async function captureCanvas(canvas: Locator): Promise<RgbaImage> {
  const url = await canvas.evaluate((element) => {
    if (!(element instanceof HTMLCanvasElement)) throw new Error(`expected a canvas, found ${element.tagName}`);
    return element.toDataURL('image/png');
  });
  const comma = url.indexOf(',');
  if (comma === url.length - 1) throw new Error('The canvas has no size yet.');
  return decodePng(Buffer.from(url.slice(comma + 1), 'base64'));
}

/**
 * How many pixels of the canvas have this colour, counted in the page: a picture that is taken out of it and searched here costs a
 * fifth of a second of a core that the VM needs. @throws Error while the canvas is missing or has no size.
 */
function countOnCanvas(canvas: Locator, colour: Rgb, tolerance: number): Promise<number> {
  return canvas.evaluate(
    (element, { r, g, b, most }) => {
      if (!(element instanceof HTMLCanvasElement)) throw new Error(`expected a canvas, found ${element.tagName}`);
      const { data } = element.getContext('2d')!.getImageData(0, 0, element.width, element.height);
      let count = 0;
      for (let at = 0; at < data.length; at += 4) {
        const isNear = (channel: number, value: number): boolean => Math.abs(data[at + channel]! - value) <= most;
        if (isNear(0, r) && isNear(1, g) && isNear(2, b)) count += 1;
      }
      return count;
    },
    { ...colour, most: tolerance },
  );
}

/** The area of this colour, or null; looked for only when there are enough pixels of it at all. */
async function findOnCanvas(canvas: Locator, colour: Rgb, match: ColourMatch): Promise<Box | null> {
  const { tolerance, minPixels } = { ...matchDefaults, ...match };
  if ((await countOnCanvas(canvas, colour, tolerance)) < minPixels) return null;
  return findColour(await captureCanvas(canvas), colour, match);
}

/** Waits until an area of this colour is drawn; returns its box in framebuffer pixels. */
export async function waitForColour(canvas: Locator, colour: Rgb, wait: CanvasWait): Promise<Box> {
  const look = (): Promise<Box | null> => findOnCanvas(canvas, colour, wait);
  return until(`${describe(colour)} on the desktop`, look, { intervalMs, ...wait });
}

/** Waits until no area of this colour is drawn any more. */
export async function waitForColourGone(canvas: Locator, colour: Rgb, wait: CanvasWait): Promise<void> {
  const look = async (): Promise<boolean> => (await findOnCanvas(canvas, colour, wait)) === null;
  await until(`${describe(colour)} to leave the desktop`, look, { intervalMs, ...wait });
}

/** Waits for the colour, then clicks into the middle of its area. */
export async function clickColour(canvas: Locator, colour: Rgb, wait: CanvasWait): Promise<Box> {
  const box = await waitForColour(canvas, colour, wait);
  const { x, y } = centreOf(box);
  await clickCanvas(canvas, x, y);
  return box;
}

/** Moves to a framebuffer pixel and clicks there. */
export async function clickCanvas(canvas: Locator, x: number, y: number): Promise<void> {
  const point = await toPage(canvas, x, y);
  const { mouse } = canvas.page();
  await mouse.move(point.x, point.y);
  await mouse.click(point.x, point.y, { delay: 30 });
}

/** Page coordinates of a framebuffer pixel, whatever the scale; the canvas is scrolled into view. */
export async function toPage(canvas: Locator, x: number, y: number): Promise<{ x: number; y: number }> {
  await canvas.scrollIntoViewIfNeeded();
  const shown = await canvas.boundingBox();
  if (shown === null) throw new Error('The canvas is not visible.');
  const size = await canvas.evaluate((element) => {
    const { width, height } = element as HTMLCanvasElement;
    return { width, height };
  });
  return { x: shown.x + (x * shown.width) / size.width, y: shown.y + (y * shown.height) / size.height };
}

/** Types into whatever has the focus inside the desktop. `delayMs` between keys: a guest under emulation is slow. */
export async function typeText(canvas: Locator, text: string, delayMs = 30): Promise<void> {
  await canvas.focus();
  await canvas.page().keyboard.type(text, { delay: delayMs });
}

/** Presses one key by its Playwright name, such as `Tab`, `Enter`, `Control+l`. */
export async function pressKey(canvas: Locator, key: string): Promise<void> {
  await canvas.focus();
  await canvas.page().keyboard.press(key, { delay: 30 });
}

function describe({ r, g, b }: Rgb): string {
  return `the colour rgb(${r}, ${g}, ${b})`;
}

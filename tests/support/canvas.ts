/**
 * A desktop shown by noVNC in a page under Playwright: seen by its pixels, used by mouse and keyboard, as a person does.
 * Every function takes the locator of the `<canvas>`; framebuffer and page coordinates differ when noVNC scales.
 */
import type { Locator } from 'playwright-core';
import type { Rgb } from './fake-internet/colours.js';
import { centreOf, decodePng, findColour, type Box, type ColourMatch, type RgbaImage } from './image.js';
import { until } from './poll.js';

export interface CanvasWait extends ColourMatch {
  timeoutMs: number;
  intervalMs?: number;
}

/** The framebuffer as it is drawn now. @throws Error while the canvas is missing or has no size. */
export async function captureCanvas(canvas: Locator): Promise<RgbaImage> {
  const url = await canvas.evaluate((element) => {
    if (!(element instanceof HTMLCanvasElement)) throw new Error(`expected a canvas, found ${element.tagName}`);
    return element.toDataURL('image/png');
  });
  const comma = url.indexOf(',');
  if (comma === url.length - 1) throw new Error('The canvas has no size yet.');
  return decodePng(Buffer.from(url.slice(comma + 1), 'base64'));
}

/** Waits until an area of this colour is drawn; returns its box in framebuffer pixels. */
export async function waitForColour(canvas: Locator, colour: Rgb, wait: CanvasWait): Promise<Box> {
  return until(
    `${describe(colour)} on the desktop`,
    async () => findColour(await captureCanvas(canvas), colour, wait),
    wait,
  );
}

/** Waits until no area of this colour is drawn any more. */
export async function waitForColourGone(canvas: Locator, colour: Rgb, wait: CanvasWait): Promise<void> {
  await until(
    `${describe(colour)} to leave the desktop`,
    async () => findColour(await captureCanvas(canvas), colour, wait) === null,
    wait,
  );
}

/** Waits until `check` accepts the framebuffer; returns that picture. */
export async function waitForPicture(
  canvas: Locator,
  what: string,
  check: (image: RgbaImage) => boolean,
  wait: { timeoutMs: number; intervalMs?: number },
): Promise<RgbaImage> {
  const look = async (): Promise<RgbaImage | null> => {
    const image = await captureCanvas(canvas);
    return check(image) ? image : null;
  };
  return until(what, look, wait);
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

/** Pictures of a screen in memory, and finding a colour in them. Pure, except for reading and writing PNG. */
import { PNG } from 'pngjs';
import type { Rgb } from './fake-internet/colours.js';

/** Four bytes a pixel: red, green, blue, alpha; rows from the top. */
export interface RgbaImage {
  width: number;
  height: number;
  data: Uint8Array;
}

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface ColourMatch {
  /** Greatest difference in each channel; 32 by default, enough for the JPEG rectangles of a VNC server. */
  tolerance?: number;
  /** Fewer connected pixels than this are noise; 200 by default. */
  minPixels?: number;
}

export const matchDefaults: Required<ColourMatch> = { tolerance: 32, minPixels: 200 };

/**
 * The bounding box of the largest connected area of this colour, or null when there is none.
 * A border counts as its whole frame, so that a field is found by the colour of its border.
 */
export function findColour(image: RgbaImage, colour: Rgb, match: ColourMatch = {}): Box | null {
  const { tolerance, minPixels } = { ...matchDefaults, ...match };
  const open = colourMask(image, colour, tolerance);
  let best: { box: Box; pixels: number } | null = null;
  for (let start = open.indexOf(1); start !== -1; start = open.indexOf(1, start + 1)) {
    const area = takeArea(open, image.width, start);
    if (area.pixels >= minPixels && area.pixels > (best?.pixels ?? 0)) best = area;
  }
  return best?.box ?? null;
}

function colourMask({ width, height, data }: RgbaImage, { r, g, b }: Rgb, tolerance: number): Uint8Array {
  const mask = new Uint8Array(width * height);
  for (let pixel = 0, at = 0; pixel < mask.length; pixel += 1, at += 4) {
    const off = Math.max(
      Math.abs((data[at] ?? 0) - r),
      Math.abs((data[at + 1] ?? 0) - g),
      Math.abs((data[at + 2] ?? 0) - b),
    );
    if (off <= tolerance) mask[pixel] = 1;
  }
  return mask;
}

/** Measures the area around `start` (eight neighbours count as connected) and clears it from `open`. */
function takeArea(open: Uint8Array, width: number, start: number): { box: Box; pixels: number } {
  const stack = [start];
  open[start] = 0;
  let [left, right, top, bottom, pixels] = [width, 0, open.length, 0, 0];
  for (let pixel = stack.pop(); pixel !== undefined; pixel = stack.pop()) {
    const x = pixel % width;
    const y = (pixel - x) / width;
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
    pixels += 1;
    for (let dy = -1; dy <= 1; dy += 1) {
      for (let dx = x > 0 ? -1 : 0; dx <= (x < width - 1 ? 1 : 0); dx += 1) {
        const next = pixel + dy * width + dx;
        if (open[next] !== 1) continue;
        open[next] = 0;
        stack.push(next);
      }
    }
  }
  return { box: { x: left, y: top, width: right - left + 1, height: bottom - top + 1 }, pixels };
}

/** How many pixels inside `box` differ by more than `tolerance` in a channel. Images of different size differ wholly. */
export function countChanges(before: RgbaImage, after: RgbaImage, box: Box = wholeOf(after), tolerance = 16): number {
  if (before.width !== after.width || before.height !== after.height) return box.width * box.height;
  let changes = 0;
  for (let y = box.y; y < box.y + box.height; y += 1) {
    for (let x = box.x; x < box.x + box.width; x += 1) {
      const at = (y * after.width + x) * 4;
      for (let channel = at; channel < at + 3; channel += 1) {
        if (Math.abs((before.data[channel] ?? 0) - (after.data[channel] ?? 0)) > tolerance) {
          changes += 1;
          break;
        }
      }
    }
  }
  return changes;
}

export function wholeOf({ width, height }: RgbaImage): Box {
  return { x: 0, y: 0, width, height };
}

export function centreOf(box: Box): { x: number; y: number } {
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}

export function decodePng(png: Buffer): RgbaImage {
  const { width, height, data } = PNG.sync.read(png);
  return { width, height, data };
}

export function encodePng({ width, height, data }: RgbaImage): Buffer {
  const png = new PNG({ width, height });
  png.data = Buffer.from(data);
  return PNG.sync.write(png);
}

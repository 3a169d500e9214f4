import { describe, expect, it } from 'vitest';
import { css, pageColours, type Rgb } from './fake-internet/colours.js';
import { centreOf, countChanges, decodePng, encodePng, findColour, type Box, type RgbaImage } from './image.js';

const grey: Rgb = { r: 200, g: 200, b: 200 };

function paint(image: RgbaImage, colour: Rgb, box: Box): void {
  for (let y = box.y; y < box.y + box.height; y += 1) {
    for (let x = box.x; x < box.x + box.width; x += 1) {
      image.data.set([colour.r, colour.g, colour.b, 255], (y * image.width + x) * 4);
    }
  }
}

function blank(width = 300, height = 200): RgbaImage {
  const image = { width, height, data: new Uint8Array(width * height * 4) };
  paint(image, grey, { x: 0, y: 0, width, height });
  return image;
}

describe('findColour', () => {
  const box = { x: 40, y: 30, width: 120, height: 40 };

  it('finds a filled area', () => {
    const image = blank();
    paint(image, pageColours.primaryButton, box);
    expect(findColour(image, pageColours.primaryButton)).toEqual(box);
    expect(centreOf(box)).toEqual({ x: 100, y: 50 });
  });

  it('finds a frame with something else inside', () => {
    const image = blank();
    paint(image, pageColours.emailField, box);
    paint(image, { r: 255, g: 255, b: 255 }, { x: 43, y: 33, width: 114, height: 34 });
    expect(findColour(image, pageColours.emailField)).toEqual(box);
  });

  it('prefers the largest area and leaves noise out', () => {
    const image = blank();
    paint(image, pageColours.allowButton, box);
    paint(image, pageColours.allowButton, { x: 280, y: 180, width: 15, height: 15 });
    expect(findColour(image, pageColours.allowButton)).toEqual(box);
    expect(findColour(image, pageColours.allowButton, { minPixels: 5000 })).toBeNull();
  });

  it('does not join areas across the edge of the picture', () => {
    const image = blank();
    paint(image, pageColours.denyButton, { x: 0, y: 50, width: 20, height: 20 });
    paint(image, pageColours.denyButton, { x: 285, y: 49, width: 15, height: 20 });
    expect(findColour(image, pageColours.denyButton)).toEqual({ x: 0, y: 50, width: 20, height: 20 });
  });

  it('accepts the errors of a lossy encoding', () => {
    const image = blank();
    const { r, g, b } = pageColours.primaryButton;
    paint(image, { r: r + 9, g: g - 12, b: b + 15 }, box);
    expect(findColour(image, pageColours.primaryButton)).toEqual(box);
    expect(findColour(image, pageColours.primaryButton, { tolerance: 8 })).toBeNull();
  });
});

it('keeps the page colours apart by more than twice the usual tolerance', () => {
  const all = Object.values(pageColours) as Rgb[];
  for (const [index, one] of all.entries()) {
    for (const other of all.slice(index + 1)) {
      const apart = Math.max(Math.abs(one.r - other.r), Math.abs(one.g - other.g), Math.abs(one.b - other.b));
      expect(apart, `${css(one)} and ${css(other)}`).toBeGreaterThan(64);
    }
  }
});

it('counts changes, and survives PNG', () => {
  const before = blank();
  const after = blank();
  paint(after, pageColours.errorBanner, { x: 10, y: 10, width: 20, height: 5 });
  expect(countChanges(before, after)).toBe(100);
  expect(countChanges(before, after, { x: 100, y: 100, width: 50, height: 50 })).toBe(0);
  expect(countChanges(after, decodePng(encodePng(after)))).toBe(0);
});

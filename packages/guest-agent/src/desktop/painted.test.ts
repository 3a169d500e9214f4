import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { desktopSizes, layoutOf } from '@airlock/contract/desktop';
import { startPage } from '@airlock/contract/guest';
import { isPainted, sampleLines } from './painted.js';

const [red, green, blue] = startPage.background;
const line = (...pixels: (readonly [number, number, number])[]): Buffer =>
  Buffer.from(pixels.flatMap(([b, g, r]) => [b, g, r, 0x5a]));
const page = [blue, green, red] as const;
const white = [255, 255, 255] as const;
const ink = [20, 30, 40] as const;

it.each([
  ['the start page with letters', 'Airlock - Chromium', [line(page, page, page), line(page, ink, page)], true],
  [
    'a window that has its title, but is still blank',
    'Airlock - Chromium',
    [line(white, white), line(white, white)],
    false,
  ],
  ['a window in which the start page is half drawn', 'Airlock - Chromium', [line(page, white, white, white)], false],
  ['a sign-in page', 'Log in - Chromium', [line(white, white), line(white, ink)], true],
  ['a page of another title that is still blank', 'Log in - Chromium', [line(white, white), line(white, white)], false],
  ['a window without a name', '', [line(white, white)], false],
  ['no pixels at all', 'Airlock - Chromium', [], false],
] as const)('judges %s', (_what, title, lines, expected) => {
  expect(isPainted(title, lines)).toBe(expected);
});

it.each(Object.values(desktopSizes))('looks inside the page area only, on a desktop of $width x $height', (size) => {
  const { browser } = layoutOf(size);
  for (const { x, y, width } of sampleLines(size)) {
    expect(x).toBeGreaterThan(browser.x);
    expect(x + width).toBeLessThan(browser.x + browser.width);
    expect(y).toBeGreaterThan(browser.y + 120);
    expect(y).toBeLessThan(browser.y + browser.height);
  }
});

it('knows the title and the colour of the image’s start page', async () => {
  const file = new URL('../../../image-builder/guest/usr/share/airlock/start.html', import.meta.url);
  const html = await readFile(file, 'utf8');
  expect(html).toContain(`<title>${startPage.title}</title>`);
  expect(html).toContain(`background: #${Buffer.from(startPage.background).toString('hex')};`);
});

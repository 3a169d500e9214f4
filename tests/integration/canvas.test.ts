/** The noVNC hands of the end-to-end tests, tried on a canvas that is shown at another scale than it is drawn. */
import type { Browser, Locator } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { launchBrowser } from '../support/browser.js';
import { clickColour, pressKey, typeText, waitForColour, waitForColourGone } from '../support/canvas.js';
import { css, pageColours } from '../support/fake-internet.js';

/** Draws a button at (800, 500); a click into it paints a field later, and keys typed then are kept. */
const page = `<body style="margin:40px;height:2000px"><canvas tabindex="0" width="1280" height="800" style="width:640px;height:400px"></canvas>
<script>
  const canvas = document.querySelector('canvas');
  const paint = (colour, x, y, w, h) => { const c = canvas.getContext('2d'); c.fillStyle = colour; c.fillRect(x, y, w, h); };
  window.keys = '';
  window.clicks = [];
  paint('#ddd', 0, 0, 1280, 800);
  paint('${css(pageColours.primaryButton)}', 800, 500, 200, 60);
  canvas.addEventListener('mousedown', (event) => {
    window.clicks.push([event.offsetX * 2, event.offsetY * 2]);
    requestAnimationFrame(() => {
      paint('#ddd', 800, 500, 200, 60);
      paint('${css(pageColours.emailField)}', 100, 100, 300, 40);
    });
  });
  canvas.addEventListener('keydown', (event) => { window.keys += '[' + event.key + ']'; });
</script>`;

let browser: Browser;
let canvas: Locator;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(async () => browser.close());
beforeEach(async () => {
  const tab = await browser.newPage();
  await tab.setContent(page);
  canvas = tab.locator('canvas');
});

it('finds a colour and clicks into its middle, whatever the scale', async () => {
  const box = await clickColour(canvas, pageColours.primaryButton, { timeoutMs: 5_000 });
  expect(box).toEqual({ x: 800, y: 500, width: 200, height: 60 });
  await waitForColourGone(canvas, pageColours.primaryButton, { timeoutMs: 5_000 });
  expect(await waitForColour(canvas, pageColours.emailField, { timeoutMs: 5_000 })).toMatchObject({ x: 100, y: 100 });
  expect(await canvas.page().evaluate('window.clicks')).toEqual([[900, 530]]);
});

it('types what a password may contain', async () => {
  await typeText(canvas, 'aB@{ß', 0);
  await pressKey(canvas, 'Tab');
  expect(await canvas.page().evaluate('window.keys')).toBe('[a][B][@][{][Tab]');
});

it('says which colour it waited for', async () => {
  await expect(waitForColour(canvas, pageColours.denyButton, { timeoutMs: 200 })).rejects.toThrow(
    'Waited 200 ms in vain for the colour rgb(217, 119, 6) on the desktop.',
  );
});

import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { desktopSizes, layoutOf } from '@airlock/contract/desktop';
import { temporaryFolder } from '../fixtures/config.js';
import { startFakeServer } from '../fixtures/x-server.js';
import { openDisplay } from '../x11/x11.js';
import { setSize, sizeOf } from './size.js';
import { isReachable, within } from './windows.js';

it('gives the display each size in turn, and leaves no mode of the former ones', async () => {
  const path = join(await temporaryFolder(), 'X0');
  const server = await startFakeServer(path, new Map());
  const display = await openDisplay(path);
  onTestFinished(() => display.close());
  for (let turn = 0; turn < 50; turn += 1) {
    const size = { width: 500 + 41 * turn, height: 1600 - 22 * turn };
    await setSize(display, size);
    expect(await sizeOf(display)).toEqual(size);
  }
  expect(server.modes.map(({ name }) => name)).toEqual(['2560x1600', 'airlock-2509x522']);
});

const sizes = [...Object.values(desktopSizes), { width: 999, height: 1600 }, { width: 1000, height: 480 }];
it.each(sizes)('a desktop of $width x $height shows all of both windows, and nothing else', (size) => {
  const { browser, terminal } = layoutOf(size);
  for (const area of [browser, terminal]) expect(within(area, size)).toEqual(area);
  const areas = [browser, terminal].map(({ width, height }) => width * height);
  expect(areas.reduce((a, b) => a + b)).toBe(size.width * size.height);
  expect(terminal.x === browser.width || terminal.y === browser.height).toBe(true);
});

const screen = desktopSizes.usual;
it.each([
  ['within the screen', { x: 10, y: 20, width: 500, height: 600 }, true, { x: 10, y: 20, width: 500, height: 600 }],
  [
    'partly out to the right',
    { x: 900, y: 20, width: 500, height: 600 },
    true,
    { x: 780, y: 20, width: 500, height: 600 },
  ],
  ['far out', { x: 3000, y: 2500, width: 500, height: 600 }, false, { x: 780, y: 200, width: 500, height: 600 }],
  ['above the screen', { x: 10, y: -30, width: 500, height: 600 }, false, { x: 10, y: 0, width: 500, height: 600 }],
  [
    'larger than the screen',
    { x: -100, y: 0, width: 5000, height: 6000 },
    true,
    { x: 0, y: 0, width: 1280, height: 800 },
  ],
])('a pop-up %s', (_what, area, reachable, pulled) => {
  expect(isReachable(area, screen)).toBe(reachable);
  expect(within(area, screen)).toEqual(pulled);
});

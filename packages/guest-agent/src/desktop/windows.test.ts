import { join } from 'node:path';
import { afterEach, expect, it, onTestFinished, vi } from 'vitest';
import type { Area } from '@airlock/contract/desktop';
import { temporaryFolder } from '../fixtures/config.js';
import { root, startFakeServer } from '../fixtures/x-server.js';
import { openDisplay } from '../x11/x11.js';
import { pullBack, type Lost } from './windows.js';

const window = 8;
const away = { x: 1270, y: 795, width: 400, height: 300 };
const sendEvent = 25;

async function start() {
  const path = join(await temporaryFolder(), 'X0');
  const server = await startFakeServer(path, new Map([[window, {}]]));
  const display = await openDisplay(path);
  onTestFinished(() => display.close());
  const clock = vi.spyOn(performance, 'now');
  const lost: Lost = new Map();
  /** How often the window manager was asked for anything. */
  async function look(atMs: number, area: Area): Promise<number> {
    clock.mockReturnValue(atMs);
    server.areas.set(window, area);
    await pullBack(display, [{ window, kind: 'other', isFurther: false }], server.size, lost);
    await display.property(root, 'WM_CLASS');
    return server.requests.filter((request) => request.readUInt8(0) === sendEvent).length;
  }
  return look;
}
afterEach(() => vi.restoreAllMocks());

it('pulls a window back that rests where no hand reaches it', async () => {
  const look = await start();
  expect(await look(5000, away)).toBe(0);
  expect(await look(5900, away)).toBe(0);
  expect(await look(6000, away)).toBeGreaterThan(0);
});

it.each([
  ['is on its way', { ...away, y: 790 }],
  ['was there for a moment', { x: 0, y: 0, width: 1280, height: 800 }],
])('leaves one alone that %s', async (_what, between) => {
  const look = await start();
  await look(5000, away);
  await look(5900, between);
  expect(await look(6800, away)).toBe(0);
});

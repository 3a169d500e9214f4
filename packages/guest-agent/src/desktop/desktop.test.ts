import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { temporaryFolder } from '../fixtures/config.js';
import { startFakeServer } from '../fixtures/x-server.js';
import { readSettings } from '../settings.js';
import { createDesktop } from './desktop.js';

async function start() {
  const path = join(await temporaryFolder(), 'X0');
  const server = await startFakeServer(path, new Map());
  const settings = readSettings({ AIRLOCK_DISPLAY_SOCKET: path, AIRLOCK_SYSTEM_EFFECTS: 'off' });
  const desktop = createDesktop(settings, () => undefined);
  onTestFinished(() => desktop.stop());
  return { server, desktop };
}

it('reaches the display by one connection, however many ask at once, and by the next once it has gone', async () => {
  const { server, desktop } = await start();
  const askAll = async (): Promise<unknown> => Promise.all([desktop.copied(), desktop.copied(), desktop.copied()]);
  await askAll();
  expect(server.connections()).toBe(1);
  server.drop();
  await expect.poll(() => server.connections()).toBe(0);
  await askAll();
  expect(server.connections()).toBe(1);
});

it('gives a display that has started anew the size that was asked for', async () => {
  const { server, desktop } = await start();
  desktop.start();
  await desktop.resize({ width: 1000, height: 600 });
  server.size = { width: 1280, height: 800 };
  await expect.poll(() => server.size, { timeout: 8000 }).toEqual({ width: 1000, height: 600 });
}, 10_000);

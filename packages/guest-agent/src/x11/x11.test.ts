import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { createDesktop } from '../desktop/desktop.js';
import type { DesktopParts } from '../desktop/eye.js';
import { temporaryFolder, testSettings } from '../fixtures/config.js';
import { event, lineOf, reply, root, setupAnswer, startFakeServer, type Windows } from '../fixtures/x-server.js';
import { words, wordsOf } from './requests.js';
import { openDisplay } from './x11.js';

const terminal = { WM_CLASS: Buffer.from('xterm\0XTerm\0') };
const browser = {
  WM_CLASS: Buffer.from('chromium\0Chromium\0'),
  WM_WINDOW_ROLE: Buffer.from('browser'),
  _NET_WM_NAME: Buffer.from('Airlock - Chromium'),
};
const managed = (...windows: number[]): Windows =>
  new Map([
    [root, { _NET_SUPPORTING_WM_CHECK: words(7), _NET_CLIENT_LIST: words(...windows) }],
    [7, { _NET_SUPPORTING_WM_CHECK: words(7) }],
  ]);

it('reads properties, and tells a window without one from a window that is gone', async () => {
  const path = join(await temporaryFolder(), 'X0');
  await startFakeServer(path, new Map([[root, { _NET_CLIENT_LIST: words(3, 5) }]]), { everyByte: true });
  const display = await openDisplay(path);
  onTestFinished(() => display.close());
  expect(display.root).toBe(root);
  expect(wordsOf((await display.property(root, '_NET_CLIENT_LIST')) ?? Buffer.alloc(0))).toEqual([3, 5]);
  expect(await display.property(root, 'WM_CLASS')).toEqual(Buffer.alloc(0));
  expect(await display.property(99, 'WM_CLASS')).toBeNull();
  expect(await display.line(24, 160, 3)).toEqual(lineOf(3));
});

it('fails when nobody listens', async () => {
  await expect(openDisplay(join(await temporaryFolder(), 'X0'))).rejects.toThrow(/ENOENT/);
});

/** A server that sends a set-up answer and then `more`, as long as it is taken; `sent` counts the bytes. */
async function hostileServer(path: string, more: Buffer): Promise<{ sent: number; sockets: Set<Socket> }> {
  const told = { sent: 0, sockets: new Set<Socket>() };
  const server = createServer((socket) => {
    told.sockets.add(socket);
    socket.write(setupAnswer());
    const send = (): void => {
      while (!socket.destroyed && socket.write(more)) told.sent += more.length;
    };
    socket.on('drain', send).on('error', () => socket.destroy());
    socket.on('data', send);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(() => {
    for (const socket of told.sockets) socket.destroy();
    server.close();
  });
  return told;
}

const endlessReply = reply(Buffer.alloc(0));
endlessReply.writeUInt16LE(1, 2);
endlessReply.writeUInt32LE(0xffffffff, 4);

it.each([
  ['an answer that would take 16 GiB', Buffer.concat([endlessReply, Buffer.alloc(64 * 1024)]), 1],
  ['no end of events', Buffer.concat(Array.from({ length: 2048 }, () => event(34))), 0],
])('hangs up on a server that sends %s, with little of it in memory', async (_what, more, questions) => {
  const path = join(await temporaryFolder(), 'X0');
  const told = await hostileServer(path, more);
  const display = await openDisplay(path);
  onTestFinished(() => display.close());
  if (questions === 1) await expect(display.property(root, 'WM_CLASS')).rejects.toThrow(/more than 524288 bytes/);
  await expect.poll(() => [...told.sockets].every((socket) => socket.destroyed), { timeout: 20_000 }).toBe(true);
  expect(told.sent).toBeLessThan(8 * 1024 * 1024);
});

const off: DesktopParts = { display: false, vnc: false, windowManager: false, terminal: false, browser: false };
const staleMark: Windows = new Map([[root, { _NET_SUPPORTING_WM_CHECK: words(7) }]]);

it.each([
  ['no display', null, off],
  ['a bare display', new Map([[root, {}]]), { ...off, display: true }],
  ['the mark of a window manager that has died', staleMark, { ...off, display: true }],
  ['no window yet', managed(), { ...off, display: true, windowManager: true }],
  [
    'the terminal',
    new Map([...managed(8), [8, terminal]]),
    { ...off, display: true, windowManager: true, terminal: true },
  ],
  [
    'a browser of another name that shows one colour only',
    new Map([...managed(9), [9, { ...browser, _NET_WM_NAME: Buffer.from('Untitled - Chromium') }]]),
    { ...off, display: true, windowManager: true },
  ],
  [
    'both windows, and one that has just gone',
    new Map([...managed(8, 9, 10), [8, terminal], [10, browser]]),
    { ...off, display: true, windowManager: true, terminal: true, browser: true },
  ],
] as [string, Windows | null, DesktopParts][])('sees %s', async (_what, windows, expected) => {
  const folder = await temporaryFolder();
  const settings = await testSettings(folder);
  if (windows) await startFakeServer(settings.displaySocket, windows, { everyByte: true });
  const probe = createDesktop(settings, () => undefined);
  onTestFinished(() => probe.stop());
  probe.start();
  await expect.poll(() => probe.parts()).toEqual(expected);
  probe.stop();
  expect(probe.parts()).toEqual(off);
});

import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { startPage } from '@airlock/contract/guest';
import { temporaryFolder, testSettings } from '../fixtures/config.js';
import { createDesktopProbe, type DesktopParts } from './probe.js';
import { openDisplay, windowsOf } from './x11.js';

const root = 0x51c;

/** Answer to the set-up request as Xvfb gives it: vendor of 20 bytes, one pixmap format, one screen. */
function setupAnswer(): Buffer {
  const answer = Buffer.alloc(40 + 20 + 8 + 40);
  answer.writeUInt8(1, 0);
  answer.writeUInt16LE(11, 2);
  answer.writeUInt16LE((answer.length - 8) / 4, 6);
  answer.writeUInt16LE(20, 24);
  answer.writeUInt8(1, 28);
  answer.writeUInt8(1, 29);
  answer.writeUInt32LE(root, 68);
  return answer;
}

function reply(bytes: Buffer, format: number): Buffer {
  const head = Buffer.alloc(32);
  head.writeUInt8(1, 0);
  head.writeUInt8(format, 1);
  const padded = Buffer.alloc(Math.ceil(bytes.length / 4) * 4);
  bytes.copy(padded);
  head.writeUInt32LE(padded.length / 4, 4);
  if (format > 0) head.writeUInt32LE(bytes.length / (format / 8), 16);
  return Buffer.concat([head, padded]);
}

const windowList = (...windows: number[]): Buffer => Buffer.from(Uint32Array.from(windows).buffer);
const noWindow = Buffer.alloc(32);
const event = Buffer.concat([Buffer.from([34]), Buffer.alloc(31)]);

/** The properties of each window; a window that is not in the map does not exist. */
type Windows = Map<number, Record<string, Buffer>>;

/** A line of the screen, all in the start page's colour. */
function lineOf(width: number): Buffer {
  const [red, green, blue] = startPage.background;
  return Buffer.alloc(4 * width, Buffer.from([blue, green, red, 0]));
}

/** As much of an X server as the probe talks to; sends byte by byte, with an event before each answer. */
async function fakeServer(path: string, windows: Windows): Promise<void> {
  const names: string[] = [''];
  const answerTo = (request: Buffer): Buffer => {
    if (request.readUInt8(0) === 16) {
      const name = request.toString('latin1', 8, 8 + request.readUInt16LE(4));
      if (!names.includes(name)) names.push(name);
      const answer = reply(Buffer.alloc(0), 0);
      answer.writeUInt32LE(names.indexOf(name), 8);
      return answer;
    }
    if (request.readUInt8(0) === 73) return reply(lineOf(request.readUInt16LE(12)), 0);
    const properties = windows.get(request.readUInt32LE(4));
    const name = names[request.readUInt32LE(8)] ?? '';
    const value = properties?.[name] ?? Buffer.alloc(0);
    return properties ? reply(value, name === 'WM_CLASS' ? 8 : 32) : noWindow;
  };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let isSetUp = false;
    socket.on('data', (request: Buffer) => {
      const answer = isSetUp ? Buffer.concat([event, answerTo(request)]) : setupAnswer();
      isSetUp = true;
      for (const byte of answer) socket.write(Buffer.from([byte]));
    });
    socket.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
}

const terminal = { WM_CLASS: Buffer.from('xterm\0XTerm\0') };
const browser = { WM_CLASS: Buffer.from('chromium\0Chromium\0'), _NET_WM_NAME: Buffer.from('Airlock - Chromium') };
const managed = (...windows: number[]): Windows =>
  new Map([
    [root, { _NET_SUPPORTING_WM_CHECK: windowList(7), _NET_CLIENT_LIST: windowList(...windows) }],
    [7, { _NET_SUPPORTING_WM_CHECK: windowList(7) }],
  ]);

it('reads properties, and tells a window without one from a window that is gone', async () => {
  const path = join(await temporaryFolder(), 'X0');
  await fakeServer(path, new Map([[root, { _NET_CLIENT_LIST: windowList(3, 5) }]]));
  const display = await openDisplay(path);
  onTestFinished(() => display.close());
  expect(display.root).toBe(root);
  expect(windowsOf((await display.property(root, '_NET_CLIENT_LIST')) ?? Buffer.alloc(0))).toEqual([3, 5]);
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

const endlessReply = reply(Buffer.alloc(0), 0);
endlessReply.writeUInt32LE(0xffffffff, 4);

it.each([
  ['an answer that would take 16 GiB', Buffer.concat([endlessReply, Buffer.alloc(64 * 1024)]), 1],
  ['no end of events', Buffer.concat(Array.from({ length: 2048 }, () => event)), 0],
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
const staleMark: Windows = new Map([[root, { _NET_SUPPORTING_WM_CHECK: windowList(7) }]]);

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
    new Map([...managed(9), [9, { WM_CLASS: browser.WM_CLASS, _NET_WM_NAME: Buffer.from('Untitled - Chromium') }]]),
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
  if (windows) await fakeServer(settings.displaySocket, windows);
  const probe = createDesktopProbe(settings, () => undefined);
  onTestFinished(() => probe.stop());
  probe.start();
  await expect.poll(() => probe.parts()).toEqual(expected);
  probe.stop();
  expect(probe.parts()).toEqual(off);
});
